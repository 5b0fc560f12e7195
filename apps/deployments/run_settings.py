"""How a component of a revision runs: the numbers that a revision keeps."""

from dataclasses import dataclass

from apps.core.errors import Invalid
from apps.deployments.models import Revision

_MEGABYTE = 1024**2


@dataclass(frozen=True, slots=True)
class RunSettings:
    """How a revision's model or its transformer runs. Raises Invalid for a value out of bounds."""

    min_replicas: int = 1
    max_replicas: int = 1
    memory_mb: int = 2048
    threads: int = 1
    load_timeout_seconds: int = 120

    def __post_init__(self) -> None:
        bounds = {
            "min_replicas": (1, 32),
            "max_replicas": (self.min_replicas, 32),
            "memory_mb": (128, 1024 * 1024),
            "threads": (1, 64),
            "load_timeout_seconds": (5, 3600),
        }
        errors = [
            {"field": name, "message": f"must be from {low:,} to {high:,}"}
            for name, (low, high) in bounds.items()
            if not low <= getattr(self, name) <= high
        ]
        if errors:
            raise Invalid(f"{errors[0]['field']} {errors[0]['message']}.", errors)

    @classmethod
    def of(cls, revision: Revision) -> "RunSettings":
        return cls(**revision.settings)

    @property
    def memory_bytes(self) -> int:
        return self.memory_mb * _MEGABYTE

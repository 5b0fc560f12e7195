"""One request on its way through the gateway, and the bounds of requests."""

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from apps.accounts.callers import Caller
from apps.core.ids import uuid7
from apps.deployments.routes import Route
from apps.predictions.gateway.paths import Address
from apps.predictions.gateway.steps import Between


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one request."""

    max_body_bytes: int
    max_rows: int
    timeout_seconds: float
    body_seconds: float
    max_in_flight: int
    max_waiting: int
    max_wait_seconds: float
    largest_json_bytes: int
    spool_folder: Path
    spool_max_bytes: int
    explain_seconds: float
    explain_max_rows: int
    artist: str
    artist_folder: Path


@dataclass(slots=True)
class Call:
    """One request on its way through the gateway."""

    address: Address
    content_type: str
    query: bytes = b""
    id: UUID = field(default_factory=uuid7)
    at: datetime = field(default_factory=lambda: datetime.now(UTC))
    started: float = field(default_factory=time.perf_counter)
    route: Route | None = None
    caller: Caller | None = None
    body: bytes = b""
    model_us: int | None = None
    between: Between | None = None
    explanations: list[list[dict[str, Any]]] | None = None
    explain_us: int | None = None
    picture: bytes | None = None
    prediction_ids: tuple[str, ...] = ()
    recorded: bool = False

    @property
    def durability(self) -> bytes:
        assert self.route is not None
        return self.route.durability.encode()

"""What people say of an explainer: its methods, what they measure against, how they run."""

from dataclasses import dataclass, field
from typing import Any

from apps.core.errors import Invalid
from apps.deployments.run_settings import RunSettings
from apps.registry.models import Artifact
from apps.serving.methods import CUSTOM

SAMPLINGS = ("sample", "kmeans")


@dataclass(frozen=True, slots=True)
class Method:
    """One way to explain, under the name that callers pick it by."""

    name: str
    method: str
    settings: dict[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return {"name": self.name, "method": self.method, "settings": self.settings}


@dataclass(frozen=True, slots=True)
class Explainer:
    """The methods, what they measure against, and how they run.

    Without a `background` the reference data of the model version serve. At most `rows` of them
    count, drawn by the `seed` as `sampling` says. A `module` is the method `custom`; `reason` is
    why its code may run, in the words of `answered_by`. An `image` explains alone.
    """

    methods: tuple[Method, ...] = ()
    background: Artifact | None = None
    module: Artifact | None = None
    reason: str = ""
    answered_by: str = ""
    image: str = ""
    port: int = 8080
    readiness_path: str = ""
    args: tuple[str, ...] = ()
    variable_ids: tuple[str, ...] = ()
    rows: int = 1000
    sampling: str = "sample"
    target: str = ""
    seed: int = 0
    run: RunSettings = field(default_factory=RunSettings)

    @property
    def is_given(self) -> bool:
        return bool(self.methods or self.module or self.image)

    @property
    def words(self) -> str:
        """What it is, for people."""
        return self.image or ", ".join(method.name for method in self.every_method)

    @property
    def every_method(self) -> tuple[Method, ...]:
        """The methods, with that of the module or the image where none was named for it."""
        if self.image:
            return (Method(CUSTOM, CUSTOM),)
        named = any(method.method == CUSTOM for method in self.methods)
        own = (Method(CUSTOM, CUSTOM),) if self.module is not None and not named else ()
        return self.methods + own


NO_EXPLAINER = Explainer()


def methods_of(entries: Any) -> tuple[Method, ...]:
    """Methods as JSON has them: `[{"name", "method", "settings"}]`, the name being the method's
    where none is given. Raises Invalid."""
    if not isinstance(entries, list):
        raise wrong('must be a list of {"name", "method", "settings"}')
    found = []
    for entry in entries:
        if not isinstance(entry, dict) or not isinstance(entry.get("method"), str):
            raise wrong('each needs a "method"')
        given = entry.get("settings") or {}
        if not isinstance(given, dict):
            raise wrong("settings must be an object")
        found.append(Method(str(entry.get("name") or entry["method"]), entry["method"], given))
    return tuple(found)


def wrong(message: str) -> Invalid:
    return Invalid(message, [{"field": "explainers", "message": message}])

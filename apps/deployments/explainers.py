"""The explainer of a revision: what people say of it, and the component that it becomes.

It explains the model of its own revision, from the same file, by one or more methods, and measures
against a background: rows of its own, or else the reference data of the model version.
"""

import re
from dataclasses import asdict, dataclass, field
from typing import Any

from apps.core.errors import Invalid
from apps.deployments import model_client
from apps.deployments.backends.base import BackendError
from apps.deployments.environments import lists
from apps.deployments.models import Component, Deployment, Replica, Revision
from apps.deployments.run_settings import RunSettings
from apps.deployments.signatures import Speechless
from apps.registry import storage
from apps.registry.models import Artifact, ModelVersion
from apps.serving.explainers import EXPLAINERS
from apps.serving.methods import CUSTOM, WITHOUT_BACKGROUND
from apps.serving.spec import Explaining

SAMPLINGS = ("sample", "kmeans")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,39}")
_MOST = 10
_LARGEST_SETTINGS = 100_000
_CHECK_SECONDS = 60


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
    count, drawn by the `seed` as `sampling` says.
    """

    methods: tuple[Method, ...] = ()
    background: Artifact | None = None
    rows: int = 1000
    sampling: str = "sample"
    target: str = ""
    seed: int = 0
    run: RunSettings = field(default_factory=RunSettings)

    @property
    def is_given(self) -> bool:
        return bool(self.methods)

    @property
    def words(self) -> str:
        """What it is, for people."""
        return ", ".join(method.name for method in self.methods)


NO_EXPLAINER = Explainer()


def methods_of(entries: Any) -> tuple[Method, ...]:
    """Methods as JSON has them: `[{"name", "method", "settings"}]`, the name being the method's
    where none is given. Raises Invalid."""
    if not isinstance(entries, list):
        raise _wrong('must be a list of {"name", "method", "settings"}')
    found = []
    for entry in entries:
        if not isinstance(entry, dict) or not isinstance(entry.get("method"), str):
            raise _wrong('each needs a "method"')
        given = entry.get("settings") or {}
        if not isinstance(given, dict):
            raise _wrong("settings must be an object")
        found.append(Method(str(entry.get("name") or entry["method"]), entry["method"], given))
    return tuple(found)


def component_of(revision: Revision) -> Component | None:
    """The explainer's component; without a query where components are prefetched."""
    found = [c for c in revision.components.all() if c.kind == Component.Kind.EXPLAINER]
    return found[0] if found else None


def explainer_of(revision: Revision) -> Explainer | None:
    """What was said of a revision's explainer; None where it has none."""
    component = component_of(revision)
    if component is None:
        return None
    config = component.config
    return Explainer(
        methods=methods_of(config["explainers"]),
        background=component.artifact if config["background"] == "own" else None,
        rows=config["rows"],
        sampling=config["sampling"],
        target=config["target"],
        seed=config["seed"],
        run=RunSettings(**config["run"]),
    )


def add_explainer(revision: Revision, given: Explainer, version: ModelVersion) -> str:
    """Makes the component. Raises Invalid where it cannot be what is asked for; gives its name."""
    _check(revision, given, version)
    own = given.background is not None
    Component.objects.create(
        revision=revision,
        kind=Component.Kind.EXPLAINER,
        artifact=given.background if own else reference_of(version),
        environment=lists.environment_explaining(version, [m.method for m in given.methods]),
        config={
            "explainers": [method.as_json() for method in given.methods],
            "background": "own" if own else "reference",
            "rows": given.rows,
            "sampling": given.sampling,
            "target": given.target,
            "seed": given.seed,
            "run": asdict(given.run),
        },
    )
    return given.words


def reference_of(version: ModelVersion) -> Artifact | None:
    """The file of a version's reference data."""
    reference = getattr(version, "reference", None)
    return reference.artifact if reference else None


def _check(revision: Revision, given: Explainer, version: ModelVersion) -> None:
    if revision.deployment.kind != Deployment.Kind.MANAGED:
        raise _wrong("Only a model that runs here can have an explainer of ours.")
    check_explainer(given, version)


def check_explainer(given: Explainer, version: ModelVersion) -> None:
    """Raises Invalid where what is asked for cannot explain this version."""
    if version.framework == ModelVersion.Framework.CUSTOM:
        raise _wrong("The model is an image of its own; explainers take a model's file.")
    check_methods(given.methods)
    if given.background is None and reference_of(version) is None:
        needy = [m for m in given.methods if m.method not in WITHOUT_BACKGROUND]
        if needy:
            raise _wrong(
                f"{needy[0].name} measures against a background, and {version} has no reference "
                "data. Add a background, or a version with reference data."
            )
    if given.background and given.background.workspace_id != version.model.workspace_id:
        raise _wrong("There is no such background in this workspace.")
    if given.sampling not in SAMPLINGS:
        raise _wrong(f"The background is drawn as {' or '.join(SAMPLINGS)}.")
    if not 2 <= given.rows <= 100_000:
        raise _wrong("The background has from 2 to 100,000 rows.")
    if not 0 <= given.seed < 2**31:
        raise _wrong("The seed is a whole number from 0 to 2,147,483,647.")


def check_methods(methods: tuple[Method, ...]) -> None:
    """Raises Invalid where a name or a method cannot be used, with those that can."""
    if len(methods) > _MOST:
        raise _wrong(f"At most {_MOST} explainers for one deployment.")
    for method in methods:
        if not _NAME.fullmatch(method.name):
            raise _wrong(
                f"{method.name[:60]} is no name for an explainer: letters, digits, dots, dashes "
                "and underscores, at most 40."
            )
        if method.method == CUSTOM or method.method not in EXPLAINERS:
            known = ", ".join(sorted(set(EXPLAINERS) - {CUSTOM}))
            raise _wrong(f"There is no method {method.method}; known are {known}.")
        if len(str(method.settings)) > _LARGEST_SETTINGS:
            raise _wrong(f"The settings of {method.name} are too large.")
    names = [method.name for method in methods]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise _wrong(f"Two explainers are named {twice[0]}; give each a name of its own.")


def _wrong(message: str) -> Invalid:
    return Invalid(message, [{"field": "explainers", "message": message}])


def explaining_of(component: Component) -> Explaining:
    """What the explainer's server is told beside the model."""
    config, artifact = component.config, component.artifact
    return Explaining(
        explainers=tuple(config["explainers"]),
        background=str(storage.path_of(artifact.sha256)) if artifact else "",
        rows=config["rows"],
        sampling=config["sampling"],
        target=config["target"],
        seed=config["seed"],
    )


def check_file(component: Component) -> None:
    """Raises BackendError where the stored background is not what was uploaded."""
    artifact = component.artifact
    if artifact is not None and not storage.intact(artifact.sha256):
        raise BackendError(
            f"The stored file of the background {artifact} is gone or no longer has the checksum "
            "with which it was uploaded. Restore it from a backup, or upload it again."
        )


def note_methods(replicas: list[Replica]) -> None:
    """Asks a ready explainer for its methods, their cost, and its background, and keeps that.

    Raises Speechless or Unreachable.
    """
    component = replicas[0].component
    path = f"/v1/models/{model_client.MODEL_NAME}"
    status, said = model_client.get(replicas[0].address, path)
    if status != 200 or not isinstance(said, dict):
        raise Speechless("The explainer does not say which methods it has.")
    component.signature = {key: said.get(key) for key in ("explainers", "background")}
    component.save(update_fields=["signature"])


def explained(
    address: str,
    instances: list[Any],
    names: list[str] | None = None,
    *,
    seconds: float = _CHECK_SECONDS,
) -> list[list[dict[str, Any]]]:
    """Explanations of instances as the model gets them, one list for each.

    Raises ValueError with the reason, Unreachable.
    """
    body = {"instances": instances, "explainers": names, "seconds": seconds}
    status, answer = model_client.post(address, path_of("explain"), body, timeout=seconds + 10)
    if status != 200:
        raise ValueError(str(answer.get("error", f"status {status}")))
    return rows_in(answer, len(instances))


def path_of(act: str) -> str:
    return f"/v1/models/{model_client.MODEL_NAME}:{act}"


def rows_in(answer: Any, count: int) -> list[list[dict[str, Any]]]:
    """The explanations in an answer. Raises ValueError where they are not what they must be."""
    rows = answer.get("explanations") if isinstance(answer, dict) else None
    if not isinstance(rows, list) or len(rows) != count:
        raise ValueError(f"The explainer gave no list of {count} explanations.")
    return rows

"""The explainer of a revision: what people say of it, and the component that it becomes.

It explains the model of its own revision, from the same file, by one or more methods, and measures
against a background: rows of its own, or else the reference data of the model version. One of the
methods may be a Python module of somebody's; or all of it is an image whose server answers
`POST /v1/models/model:explain` with `{"instances": [...]}` by `{"explanations": [...]}`.
"""

from dataclasses import asdict
from typing import Any

from apps.accounts.models import User
from apps.deployments import explainer_checks, explainer_image, model_client
from apps.deployments.backends.base import Backend, BackendError
from apps.deployments.environments import lists
from apps.deployments.explainer_checks import reference_of as reference_of
from apps.deployments.explainer_settings import NO_EXPLAINER as NO_EXPLAINER
from apps.deployments.explainer_settings import Explainer as Explainer
from apps.deployments.explainer_settings import Method as Method
from apps.deployments.explainer_settings import methods_of as methods_of
from apps.deployments.models import Component, Replica, Revision
from apps.deployments.run_settings import RunSettings
from apps.deployments.signatures import Speechless
from apps.registry import storage
from apps.registry.models import Artifact, ModelVersion
from apps.serving.spec import Explaining

_LONGEST_REASON = 500
_CHECK_SECONDS = 60


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
        module=component.module,
        reason=config.get("reason", ""),
        answered_by=config.get("answeredBy", ""),
        image=config.get("image", ""),
        port=config.get("port", 8080),
        readiness_path=config.get("readinessPath", ""),
        args=tuple(config.get("args", ())),
        variable_ids=tuple(config.get("variableIds", ())),
    )


def add_explainer(revision: Revision, given: Explainer, version: ModelVersion, by: User) -> str:
    """Makes the component. Raises Invalid where it cannot be what is asked for; gives its name."""
    explainer_checks.check(revision, given, version)
    own = given.background is not None
    methods = given.every_method
    names = [method.method for method in methods]
    Component.objects.create(
        revision=revision,
        kind=Component.Kind.EXPLAINER,
        artifact=_rows_of(given, version),
        module=given.module,
        environment=None if given.image else lists.environment_explaining(version, names),
        config=_own_config(given, by)
        | {
            "explainers": [method.as_json() for method in methods],
            "background": "own" if own else "reference",
            "rows": given.rows,
            "sampling": given.sampling,
            "target": given.target,
            "seed": given.seed,
            "run": asdict(given.run),
        },
    )
    return given.words


def _rows_of(given: Explainer, version: ModelVersion) -> Artifact | None:
    """The background; an image has none of ours."""
    return None if given.image else given.background or reference_of(version)


def _own_config(given: Explainer, by: User) -> dict[str, Any]:
    """What is kept of a module or an image."""
    if given.image:
        return {
            "image": given.image,
            "port": given.port,
            "readinessPath": given.readiness_path,
            "args": list(given.args),
            "variableIds": list(given.variable_ids),
        }
    if given.module is None:
        return {}
    return {
        "reason": given.reason.strip()[:_LONGEST_REASON],
        "answeredBy": given.answered_by or by.name,
    }


def explaining_of(component: Component) -> Explaining:
    """What the explainer's server is told beside the model."""
    config, artifact = component.config, component.artifact
    return Explaining(
        explainers=tuple(config["explainers"]),
        background=str(storage.path_of(artifact.sha256)) if artifact else "",
        rows=config["rows"],
        sampling=config["sampling"],
        target=config["target"],
        module=str(storage.path_of(component.module.sha256)) if component.module else "",
        seed=config["seed"],
    )


def check_file(component: Component) -> None:
    """Raises BackendError where a stored background or module is not what was uploaded."""
    for what, artifact in (("background", component.artifact), ("module", component.module)):
        if artifact is not None and not storage.intact(artifact.sha256):
            raise BackendError(
                f"The stored file of the {what} {artifact} is gone or no longer has the checksum "
                "with which it was uploaded. Restore it from a backup, or upload it again."
            )


def note_methods(replicas: list[Replica], backend: Backend) -> None:
    """Asks a ready explainer for its methods, their cost, and its background, and keeps that; of an
    image its digest. Raises Speechless, Unreachable or BackendError.
    """
    component = replicas[0].component
    if is_image(component):
        explainer_image.note(replicas, backend)
        return
    path = f"/v1/models/{model_client.MODEL_NAME}"
    status, said = model_client.get(replicas[0].address, path)
    if status != 200 or not isinstance(said, dict):
        raise Speechless("The explainer does not say which methods it has.")
    component.signature = {key: said.get(key) for key in ("explainers", "background")}
    component.save(update_fields=["signature"])


def is_image(component: Component) -> bool:
    return bool(component.config.get("image"))


def explained(
    replica: Replica,
    instances: list[Any],
    names: list[str] | None = None,
    *,
    seconds: float = _CHECK_SECONDS,
) -> list[list[dict[str, Any]]]:
    """Explanations of instances as the model gets them, one list for each.

    Raises ValueError with the reason, Unreachable.
    """
    component = replica.component
    body: dict[str, Any] = {"instances": instances}
    if not is_image(component):
        body |= {"explainers": names, "seconds": seconds}
    status, answer = model_client.post(
        replica.address, path_of("explain"), body, timeout=seconds + 10
    )
    if status != 200:
        raise ValueError(str(answer.get("error", f"status {status}")))
    if is_image(component):
        return explainer_image.entries_of(answer, instances, feature_names(_model_of(component)))
    return rows_in(answer, len(instances))


def _model_of(component: Component) -> ModelVersion:
    version = component.revision.components.get(kind=Component.Kind.MODEL).model_version
    assert version is not None
    return version


def path_of(act: str) -> str:
    return f"/v1/models/{model_client.MODEL_NAME}:{act}"


def feature_names(version: ModelVersion) -> list[str]:
    """The features of a version in the model's order; none where it takes tensors or says none."""
    return [feature["name"] for feature in version.metadata.get("features") or []]


def rows_in(answer: Any, count: int) -> list[list[dict[str, Any]]]:
    """The explanations in an answer. Raises ValueError where they are not what they must be."""
    rows = answer.get("explanations") if isinstance(answer, dict) else None
    if not isinstance(rows, list) or len(rows) != count:
        raise ValueError(f"The explainer gave no list of {count} explanations.")
    return rows

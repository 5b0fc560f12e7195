"""The part of a deployment's body that tells of its explainer."""

from dataclasses import replace
from typing import Any, Literal
from uuid import UUID

from django.db.models import QuerySet
from rest_framework import serializers

from apps.accounts.access import require
from apps.accounts.models import User, Workspace
from apps.core.errors import Invalid
from apps.deployments.explainer_files import (
    backgrounds_in,
    explainers_in,
)
from apps.deployments.explainer_settings import NO_EXPLAINER, Explainer, Method, methods_of
from apps.deployments.models import Component
from apps.deployments.run_settings import RunSettings
from apps.registry.models import Artifact, ModelVersion
from apps.serving.methods import CUSTOM

_RUN = {
    "explainerMinReplicas": "min_replicas",
    "explainerMaxReplicas": "max_replicas",
    "explainerMemLimit": "memory_mb",
}
# The official client's numbers; 9 is the library's own where that computes it.
_TYPES = {
    1: "anchors", 4: "shap.permutation", 5: "partial_dependence", 6: "counterfactuals",
    9: "shap.tree", 10: "saliency",
}  # fmt: skip
_NUMBERS = {method: number for number, method in _TYPES.items()} | {
    "shap.native": 9, "shap.interventional": 9, "shap.exact": 4, "shap.linear": 4,
}  # fmt: skip
_CUSTOM, _INTEGRATED = 7, 8
_OWN = (Method(CUSTOM, CUSTOM),)
_SAY_WHICH = (
    'names no image ({"docker": {"image": "…"}}), module ({"deeploy": {"moduleId": "…"}}) or '
    'background ({"deeploy": {"backgroundId": "…"}}); methods are named in explainers'
)
_LATER = (
    "Methods of ours are chosen when the model has been imported: PATCH the deployment then. A "
    "module or an image of yours comes with the contract folder, or as explainerReference."
)
_NOT_INSIDE = (
    "8 (integrated) is an explain function within the model, which the image of a custom model can "
    "have; files of models are asked for predictions alone. Put explain(instances, predict) into a "
    "module and send explainerType 7 with explainerReference, or name a method in explainers: "
    "integrated_gradients for networks of PyTorch and TensorFlow, shap.tree for trees."
)
_NATIVE = {"xgboost", "lightgbm", "catboost"}


def explainer_in(
    data: dict[str, Any],
    workspace: Workspace,
    version: ModelVersion | None,
    by: User,
    kept: Explainer | None = None,
) -> Explainer | None:
    """The explainer that a body asks for; None where it says nothing of one.

    `explainers` counts before `explainerType`, which the official client sends as 0 unasked.
    `kept` is that of the newest revision, over which single keys may change. Raises Invalid, and
    PermissionDenied where somebody answers for a module who may not.
    """
    data = _without_integrated(data, version)
    named = _named(data, version)
    if named == ():
        return NO_EXPLAINER
    given = _changed(data, workspace)
    run = any(data.get(key) is not None for key in _RUN)
    base = kept or Explainer()
    own = given.get("module") or given.get("image")
    if named is None and not own and (not base.is_given or not (given or run)):
        return None
    values = {name: getattr(base, name) for name in Explainer.__slots__}
    values |= _without(values, own=bool(own), is_image=bool(given.get("image")), named=named)
    if data.get("explainerReason"):
        require(by, "scan.override", workspace)
        values |= {"reason": data["explainerReason"], "answered_by": by.name}
    asked = Explainer(**values | given | {"run": _run(data, base.run)})
    if data.get("explainerType") == _CUSTOM and not (asked.module or asked.image):
        raise _wrong("explainerReference", _SAY_WHICH)
    return asked


def explainer_for_import(
    data: dict[str, Any], workspace: Workspace, by: User, *, from_git: bool
) -> tuple[Explainer | None, Literal["no", "may", "must"]]:
    """The explainer of a deployment that waits for its import, and whether its contract folder may
    or must bring it; the official client asks with 0 for none. Methods of ours need the version."""
    kind = data.get("explainerType")
    if kind == _INTEGRATED and not data.get("explainers"):
        raise _wrong("explainerType", _NOT_INSIDE)
    if data.get("explainers") or kind not in (None, 0, _CUSTOM):
        raise _wrong("explainers", _LATER)
    if kind == 0:
        return None, "no"
    if data.get("explainerReference"):
        return explainer_in(data | {"explainerType": _CUSTOM}, workspace, None, by), "no"
    if kind == _CUSTOM and not from_git:
        raise _wrong("explainerReference", _SAY_WHICH)
    said = Explainer(run=_run(data, RunSettings()), **_changed(data, workspace))
    if data.get("explainerReason"):
        require(by, "scan.override", workspace)
        said = replace(said, reason=data["explainerReason"], answered_by=by.name)
    return said, "must" if kind == _CUSTOM else "may" if from_git else "no"


def _without_integrated(data: dict[str, Any], version: ModelVersion | None) -> dict[str, Any]:
    """The body with the model's own image as the explainer where it asks for an integrated one:
    it runs once more, and its server answers `explain`. Raises Invalid for models that are files.
    """
    if data.get("explainerType") != _INTEGRATED or data.get("explainers") is not None:
        return data
    if version is None or version.framework != ModelVersion.Framework.CUSTOM:
        raise _wrong("explainerType", _NOT_INSIDE)
    source = version.source
    docker = {"image": source["image"], "port": source.get("port")}
    own: dict[str, Any] = {"docker": docker | {"uri": source.get("readinessPath")}}
    as_the_model = {
        "explainerArgs": data.get("modelArgs"),
        "explainerEnvironmentVariableIds": data.get("modelEnvironmentVariableIds"),
    }
    asked = {key: value for key, value in data.items() if value is not None}
    return as_the_model | asked | {"explainerType": _CUSTOM, "explainerReference": own}


def _without(
    values: dict[str, Any], *, own: bool, is_image: bool, named: tuple[Method, ...] | None
) -> dict[str, Any]:
    """What of the kept explainer ends with what is asked for: another module needs an answer of its
    own, and an image stands alone."""
    ends: dict[str, Any] = {"methods": named} if named is not None else {}
    if own:
        ends |= {"module": None, "image": "", "reason": "", "answered_by": ""}
    if is_image:
        ends |= {"methods": (), "background": None}
    elif own and values["image"]:
        ends |= {"methods": named or ()}
    elif named is not None and named != _OWN:
        ends |= {"image": ""}
    if named is not None and not own and not any(m.method == CUSTOM for m in named):
        ends |= {"module": None, "reason": "", "answered_by": ""}
    return ends


def _named(data: dict[str, Any], version: ModelVersion | None) -> tuple[Method, ...] | None:
    """The methods that a body names; none of them takes the explainer away."""
    if data.get("explainers") is not None:
        found = methods_of(data["explainers"])
        return found or (None if _reference(data) else ())
    kind = data.get("explainerType")
    if kind is None:
        gone = "explainerReference" in data and data["explainerReference"] is None
        return () if gone or ("explainers" in data and data["explainers"] is None) else None
    if kind == 0:
        return ()
    if kind == _CUSTOM:
        return _OWN
    if kind not in _TYPES:
        known = ", ".join(f"{number} ({method})" for number, method in _TYPES.items())
        message = (
            f"{kind} is not offered here; there are 0 (none), {known}, 7 (custom), 8 (within a "
            "custom model's image), and explainers."
        )
        raise Invalid(f"explainerType: {message}", [{"field": "explainerType", "message": message}])
    method = _TYPES[kind]
    if method == "shap.tree" and version is not None and version.framework in _NATIVE:
        method = "shap.native"
    return (Method(method, method),)


def _changed(data: dict[str, Any], workspace: Workspace) -> dict[str, Any]:
    keys = {"explainerRows": "rows", "explainerSampling": "sampling", "explainerSeed": "seed"}
    given = {name: data[key] for key, name in keys.items() if data.get(key) is not None}
    if data.get("explainerArgs") is not None:
        given["args"] = tuple(data["explainerArgs"])
    if data.get("explainerEnvironmentVariableIds") is not None:
        ids = data["explainerEnvironmentVariableIds"]
        given["variable_ids"] = tuple(str(each) for each in ids)
    if data.get("explainerReference"):
        given |= referenced(data["explainerReference"], workspace)
    return given


def _reference(data: dict[str, Any]) -> dict[str, Any]:
    """The reference of a body, bare or below "reference" as in reference.json."""
    given = data.get("explainerReference")
    inner = given.get("reference", given) if isinstance(given, dict) else None
    return inner if isinstance(inner, dict) else {}


def referenced(reference: Any, workspace: Workspace) -> dict[str, Any]:
    """What `{"docker": {"image", "uri", "port"}}` or `{"deeploy": {"moduleId", "backgroundId"}}`
    names."""
    inner = _reference({"explainerReference": reference})
    docker, own = inner.get("docker"), inner.get("deeploy")
    if isinstance(docker, dict) and docker.get("image"):
        port = docker.get("port") or 8080
        if not isinstance(port, int) or not 1 <= port <= 65535:
            raise _wrong("explainerReference", "docker.port must be from 1 to 65535")
        uri = str(docker.get("uri") or "")
        return {"image": str(docker["image"]), "port": port, "readiness_path": uri}
    found: dict[str, Any] = {}
    if isinstance(own, dict) and own.get("backgroundId"):
        found["background"] = _file(
            backgrounds_in(workspace), own["backgroundId"], "There is no such background here."
        )
    if isinstance(own, dict) and own.get("moduleId"):
        found["module"] = _file(
            explainers_in(workspace), own["moduleId"], "There is no such module here."
        )
    if not found:
        raise _wrong("explainerReference", _SAY_WHICH)
    return found


def _file(among: QuerySet[Artifact], identifier: Any, missing: str) -> Artifact:
    try:
        return among.get(id=UUID(str(identifier)))
    except (Artifact.DoesNotExist, ValueError):
        raise _wrong("explainerReference", missing) from None


def _run(data: dict[str, Any], base: RunSettings) -> RunSettings:
    """Fewer than one replica, the client's default, is taken as one."""
    values = {name: getattr(base, name) for name in RunSettings.__slots__}
    values |= {field: data[key] for key, field in _RUN.items() if data.get(key) is not None}
    values["min_replicas"] = max(1, values["min_replicas"])
    values["max_replicas"] = max(values["min_replicas"], values["max_replicas"])
    return RunSettings(**values)


def explainer_type(explainer: Explainer | None) -> int:
    """The official client's number of the first method; custom where it has none."""
    if explainer is None or not explainer.methods:
        return 0
    return _NUMBERS.get(explainer.methods[0].method, _CUSTOM)


def explainer_out(explainer: Explainer | None, component: Component | None) -> dict[str, Any]:
    """The part of a revision that tells of its explainer."""
    if explainer is None or component is None:
        return {"explainerType": 0, "explainers": [], "explainerReference": None}
    artifact, said = component.artifact, component.signature
    took = {each["name"]: each["milliseconds"] for each in said.get("explainers") or ()}
    return {
        "explainerType": explainer_type(explainer),
        "explainers": [
            method.as_json() | {"exampleMilliseconds": took.get(method.name)}
            for method in explainer.methods
        ],
        "explainerReference": _image_out(explainer)
        or {
            "deeploy": {
                "moduleId": str(explainer.module.id) if explainer.module else None,
                "reason": explainer.reason or None,
                "answeredBy": explainer.answered_by or None,
                "backgroundId": str(artifact.id) if artifact else None,
                "isReferenceData": explainer.background is None,
                "rows": explainer.rows,
                "sampling": explainer.sampling,
                "seed": explainer.seed,
                "used": said.get("background"),
            }
        },
        "explainerMinReplicas": explainer.run.min_replicas,
        "explainerMaxReplicas": explainer.run.max_replicas,
        "explainerMemLimit": explainer.run.memory_mb,
    }


def _image_out(explainer: Explainer) -> dict[str, Any] | None:
    if not explainer.image:
        return None
    docker = {"image": explainer.image, "port": explainer.port, "uri": explainer.readiness_path}
    return {"docker": docker}


def _wrong(key: str, message: str) -> serializers.ValidationError:
    return serializers.ValidationError({key: message})

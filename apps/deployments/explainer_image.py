"""An explainer that is an image: its container, whether it explains, and what its answers hold."""

from typing import Any

from apps.deployments import custom, model_client
from apps.deployments.backends.base import Backend, CustomImage
from apps.deployments.models import Component, Replica
from apps.deployments.signatures import Speechless
from apps.serving.errors import ModelFailure
from apps.serving.explainers.checks import check, check_json, described
from apps.serving.methods import CUSTOM

_MISSING = {404, 405, 501}
_PATH = f"/v1/models/{model_client.MODEL_NAME}:explain"
_SAID = {"unit": str, "class": str}
_NUMBERS = ("prediction", "baseValue")
_HEAD: dict[str, Any] = {
    "name": CUSTOM, "method": CUSTOM, "seed": None, "backgroundId": None, "fidelity": {},
    "milliseconds": None,
}  # fmt: skip


def image_of(component: Component) -> CustomImage | None:
    """The container of an explainer that is an image, pinned as that of a custom model is."""
    config = component.config
    if not config.get("image"):
        return None
    return CustomImage(
        reference=config.get("digest") or config["image"],
        port=int(config["port"]),
        args=tuple(config["args"]),
        variables=custom.variables_of(component, config["variableIds"]),
    )


def note(replicas: list[Replica], backend: Backend) -> None:
    """Asks a ready image whether it explains, and keeps that and its digest. Raises Speechless,
    Unreachable or BackendError."""
    component = replicas[0].component
    status, _ = model_client.post(replicas[0].address, _PATH, {"instances": []}, timeout=10)
    if status in _MISSING:
        raise Speechless(
            f"The explainer does not answer POST {_PATH}. Serve it on the port that the revision "
            "names."
        )
    own = {"name": CUSTOM, "method": CUSTOM, "milliseconds": None}
    component.signature = {"explainers": [own], "background": None}
    component.config = component.config | {"digest": backend.image(replicas[0].handle)}
    component.save(update_fields=["signature", "config"])
    for each in replicas:
        each.component = component


def entries_of(answer: Any, instances: list[Any], names: list[str]) -> list[list[dict[str, Any]]]:
    """What an image answered for `instances` of a model with these features, one entry for each;
    without any, features are called as the image likes.

    An entry in the shape that all methods have is one like theirs; any other stands whole below
    `said`. Raises ValueError where there is not an object for each instance.
    """
    rows = answer.get("explanations") if isinstance(answer, dict) else None
    if not isinstance(rows, list) or len(rows) != len(instances):
        given = described(rows) if rows is not None else "nothing"
        raise ValueError(
            f'The explainer must answer {{"explanations": […]}} with one object for each of '
            f"{len(instances)} instances; it gave {given}."
        )
    pairs = zip(rows, instances, strict=True)
    return [[_entry(row, given, names, at)] for at, (row, given) in enumerate(pairs)]


def _entry(row: Any, instance: Any, names: list[str], at: int) -> dict[str, Any]:
    if not isinstance(row, dict):
        raise ValueError(
            f"The explainer's explanation of instance {at} must be an object, not {described(row)}."
        )
    try:
        check_json(row, f"The explainer's explanation of instance {at}")
    except ModelFailure as error:
        raise ValueError(f"{error.message}.") from None
    said = {key: value for key, value in row.items() if key not in ("name", "method")}
    shaped = _shaped(said, instance, names, at)
    return _HEAD | (shaped or {"class": None, "said": said})


def _shaped(
    said: dict[str, Any], instance: Any, names: list[str], at: int
) -> dict[str, Any] | None:
    """The entry with its part as our methods have it; None where it has another shape."""
    facts: dict[str, Any] = {"unit": "value", "class": None, "prediction": None, "baseValue": None}
    facts |= {key: said[key] for key in facts if said.get(key) is not None}
    if not all(isinstance(facts[key], kind | None) for key, kind in _SAID.items()):
        return None
    if not all(_is_number(facts[key]) for key in _NUMBERS if facts[key] is not None):
        return None
    if "contributions" in said and facts["prediction"] is None:
        return None
    case = instance if isinstance(instance, dict) else dict(zip(names, instance, strict=False))
    rest = {key: value for key, value in said.items() if key not in facts}
    try:
        return facts | check(rest, names or None, case, at, "explainer")
    except ModelFailure:
        return None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)

"""Reads a contract folder: `model/` with one model or a reference, and what describes it.

model/model.<ext>  or  model/reference.json     explainer/  transformer/
metadata.json      requirements.txt             model_card.md  data_card.md
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from apps.core.errors import Invalid
from apps.registry.metadata import parsed
from apps.registry.sources.errors import SourceFailed

_ELSEWHERE = {
    "azureML": "Azure Machine Learning",
    "databricks": "Databricks",
    "sagemaker": "SageMaker",
    "huggingface": "Hugging Face",
}
_OFFERED = "blob, mlflow or docker"
_VERSION = "2.0.0"
_IGNORED = {".gitkeep", "README.md", "readme.md"}


@dataclass(frozen=True, slots=True)
class Reference:
    """Where a model lies that is not in the folder: `blob`, `mlflow` or `docker`."""

    kind: str
    content: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Contract:
    """What a folder says: a file or a reference, and what describes it."""

    model: Path | Reference
    metadata: dict[str, Any] | None = None
    requirements: str = ""
    model_card: str = ""
    data_card: str = ""
    transformer: Path | Reference | None = None
    explainer: Path | Reference | None = None
    explainer_files: tuple[str, ...] = field(default=())
    notes: tuple[str, ...] = field(default=())


def read(folder: Path) -> Contract:
    """The contract in `folder`. Raises SourceFailed with what is missing or wrong, and where."""
    model = _model(folder)
    return Contract(
        model=model,
        metadata=_metadata(folder / "metadata.json"),
        requirements=_text(folder / "requirements.txt"),
        model_card=_text(folder / "model_card.md"),
        data_card=_text(folder / "data_card.md"),
        transformer=_transformer(folder / "transformer"),
        explainer=_explainer(folder / "explainer"),
        explainer_files=_files(folder / "explainer"),
        notes=tuple(_notes(folder)),
    )


def reference_of(content: Any, where: str = "model/reference.json") -> Reference:
    """The reference in a reference.json of schema 2.0.0. Raises SourceFailed."""
    if not isinstance(content, dict) or not isinstance(content.get("reference"), dict):
        raise SourceFailed(f'{where} must hold {{"schemaVersion": "2.0.0", "reference": {{…}}}}.')
    version = content.get("schemaVersion") or _VERSION
    if version != _VERSION:
        raise SourceFailed(f"{where} has the schema {version}; write it in {_VERSION}.")
    found = {key: value for key, value in content["reference"].items() if value is not None}
    for name, product in _ELSEWHERE.items():
        if name in found:
            raise SourceFailed(
                f"{where} refers to {product} ({name}), which is not offered here; refer to "
                f"{_OFFERED} instead."
            )
    kinds = [name for name in ("blob", "mlflow", "docker") if name in found]
    if not kinds:
        named = ", ".join(found) or "nothing"
        raise SourceFailed(f"{where} refers to {named}; refer to {_OFFERED}.")
    if len(kinds) > 1:
        raise SourceFailed(
            f"{where} refers to {' and '.join(kinds)} at once, which is not offered; put the model "
            "into the image, or refer to the model alone."
        )
    kind = kinds[0]
    return Reference(kind, _checked(kind, found[kind], where))


def source_of(reference: Reference) -> dict[str, Any]:
    """The source that an import fetches for a reference."""
    content = reference.content
    if reference.kind == "blob":
        return {"kind": "files", "uri": content["url"]}
    if reference.kind == "docker":
        # Some write the image's whole name as uri, others the path at which it predicts.
        uri = str(content.get("uri") or "/")
        tag = content["image"] if uri.startswith("/") else uri
        return {"kind": "image", "image": tag, "port": content.get("port")}
    model = content["model"]
    which = model.get("version") or model.get("stage") or "latest"
    at = f"@{model['alias']}" if model.get("alias") else f"/{which}"
    return {"kind": "mlflow", "uri": f"models:/{model['name']}{at}"}


def _checked(kind: str, content: Any, where: str) -> dict[str, Any]:
    needed = {"blob": "url", "docker": "image", "mlflow": "model"}[kind]
    if not isinstance(content, dict) or not content.get(needed):
        raise SourceFailed(f"{where}: {kind} needs {needed}.")
    if kind == "mlflow" and not (
        isinstance(content["model"], dict) and content["model"].get("name")
    ):
        raise SourceFailed(f"{where}: mlflow.model needs name.")
    return content


def _model(folder: Path) -> Path | Reference:
    inside = folder / "model"
    if not inside.is_dir():
        there = ", ".join(sorted(path.name for path in folder.iterdir())[:8]) or "nothing"
        raise SourceFailed(
            f"There is no folder model/ here; it holds {there}. Put the model there as "
            "model/model.<extension>, or give the sub-path of the folder that holds model/."
        )
    files = sorted(path for path in inside.iterdir() if path.name not in _IGNORED)
    models = [path for path in files if path.name.split(".")[0] == "model"]
    reference = inside / "reference.json"
    if len(models) > 1 or (models and reference.exists()):
        names = " and ".join(path.name for path in [*models, reference] if path.exists())
        raise SourceFailed(f"model/ holds {names}; it must hold exactly one model.")
    if reference.exists():
        return reference_of(_json(reference, "model"), "model/reference.json")
    if not models:
        names = ", ".join(path.name for path in files) or "no file"
        raise SourceFailed(
            f"model/ holds {names}, but no model; name it model.<extension>, or write a "
            "reference.json."
        )
    return models[0]


def _metadata(path: Path) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    try:
        return parsed(path.read_bytes())
    except Invalid as error:
        raise SourceFailed(error.message) from None


def _json(path: Path, inside: str) -> Any:
    try:
        return json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise SourceFailed(f"{inside}/{path.name} is no JSON: {error}.") from None


def _transformer(folder: Path) -> Path | Reference | None:
    """The folder of a module, or a reference to an image; None where there is neither."""
    names = _files(folder)
    if "transformer.py" in names and "reference.json" in names:
        raise SourceFailed("transformer/ holds transformer.py and reference.json; keep one.")
    if "transformer.py" in names:
        return folder
    if "reference.json" not in names:
        if names:
            raise SourceFailed(
                f"transformer/ holds {', '.join(names[:8])}, but neither transformer.py nor a "
                "reference.json."
            )
        return None
    where = "transformer/reference.json"
    found = reference_of(_json(folder / "reference.json", "transformer"), where)
    if found.kind != "docker":
        raise SourceFailed(f"{where} refers to {found.kind}; a transformer is an image (docker).")
    return found


def _explainer(folder: Path) -> Path | Reference | None:
    """The folder of a module, or a reference to an image; None where there is neither, which the
    notes name: a deployment can do without."""
    names = _files(folder)
    if "explainer.py" in names and "reference.json" in names:
        raise SourceFailed("explainer/ holds explainer.py and reference.json; keep one.")
    if "explainer.py" in names:
        return folder
    if "reference.json" not in names:
        return None
    content = _json(folder / "reference.json", "explainer")
    found = reference_of(content, "explainer/reference.json")
    return found if found.kind == "docker" else None


def _files(folder: Path) -> tuple[str, ...]:
    if not folder.is_dir():
        return ()
    return tuple(sorted(path.name for path in folder.iterdir() if path.name not in _IGNORED))


def _text(path: Path) -> str:
    return path.read_text(errors="replace") if path.is_file() else ""


def _notes(folder: Path) -> list[str]:
    """What lies in the folder beside the model."""
    notes = []
    if names := _files(folder / "explainer"):
        found = ", ".join(names[:8])
        notes.append(f"explainer/ was found with {found}.{_left_out(folder, names)}")
    if names := _files(folder / "transformer"):
        notes.append(f"transformer/ was found with {', '.join(names[:8])}.")
    return notes


def _left_out(folder: Path, names: tuple[str, ...]) -> str:
    """Which of an explainer's files are not taken, and what would be; empty where they are."""
    if "explainer.py" in names:
        return ""
    if "reference.json" in names:
        kinds = _json(folder / "explainer" / "reference.json", "explainer").get("reference", {})
        named = ", ".join(kinds) or "nothing"
        return (
            ""
            if "docker" in kinds
            else (
                f" Its reference.json refers to {named}, which is not imported: an explainer is an "
                "image (docker) or a module."
            )
        )
    text = f" {', '.join(names[:8])} is not imported: it takes explainer.py or a reference.json"
    if any(name.endswith((".dill", ".pkl", ".pickle", ".joblib")) for name in names):
        return f"{text}, no pickled object. Choose a method of ours, or write explain() around it."
    return f"{text} of an image (docker)."

"""Tells models apart that are zip archives: of PyTorch, Keras, TensorFlow, MLflow and skops."""

import json
import posixpath
import re
import zipfile
from collections.abc import Callable
from typing import Any

from apps.serving import protobuf
from apps.serving.archives import BadArchive, checked_members, root_of
from apps.serving.detected import Detected, NotAModel

_MOST_READ = 128 * 1024**2
# Fields of a SavedModel: its graphs, what they say of themselves, the release of TensorFlow.
_META_GRAPHS, _META_INFO, _RELEASE = 2, 1, 5
_TORCH_WEIGHTS = (
    "This is a PyTorch file of weights, or of a pickled module; neither runs by itself. Save the "
    "model as TorchScript (torch.jit.script(model).save) or with torch.export.save, or zip "
    "state_dict.pt together with a module.py that defines the module's class."
)


def detect_archive(archive: zipfile.ZipFile) -> Detected:
    """What the archive holds. Raises NotAModel where it is no model."""
    names = [member.filename for member in archive.infolist()]
    for marks, look in _LOOKS:
        if all(any(_is(name, mark) for name in names) for mark in marks):
            return look(archive, names)
    raise NotAModel(
        "The file is a zip archive, but no model: it holds no schema.json (skops), config.json "
        "with model.weights.h5 (Keras), saved_model.pb (TensorFlow), MLmodel (MLflow), module.py "
        "with state_dict.pt, TorchScript or torch.export program."
    )


def read(archive: zipfile.ZipFile, name: str) -> bytes:
    """One file of the archive. Raises NotAModel where it is too large to look into."""
    if archive.getinfo(name).file_size > _MOST_READ:
        raise NotAModel(f"{posixpath.basename(name)} in the archive is too large to look into.")
    return archive.read(name)


def read_json(archive: zipfile.ZipFile, name: str) -> dict[str, Any]:
    """The JSON object in a file of the archive; empty where it is none."""
    document = json.loads(read(archive, name))
    return document if isinstance(document, dict) else {}


def _is(name: str, mark: str) -> bool:
    """True where a path ends in the mark; a mark with a slash in front is at the very top."""
    return name == mark[1:] if mark.startswith("/") else name == mark or name.endswith(f"/{mark}")


def _keras(archive: zipfile.ZipFile, names: list[str]) -> Detected:
    read_json(archive, "config.json")
    about = read_json(archive, "metadata.json") if "metadata.json" in names else {}
    version = str(about.get("keras_version", ""))
    return Detected(
        "tensorflow", "keras", notes=(f"Saved with Keras {version}",) if version else ()
    )


def _unpackable(archive: zipfile.ZipFile) -> None:
    try:
        checked_members(archive)
    except BadArchive as error:
        raise NotAModel(f"The archive cannot be used. {error}") from None


def _saved_model(archive: zipfile.ZipFile, names: list[str]) -> Detected:
    _unpackable(archive)
    root = root_of(names, "saved_model.pb") or ""
    data = memoryview(read(archive, f"{root}saved_model.pb"))
    try:
        found = list(protobuf.texts(data, _META_GRAPHS, _META_INFO, _RELEASE))
    except protobuf.NotProtobuf as error:
        raise NotAModel(f"saved_model.pb in the archive is damaged: {error}.") from None
    return Detected("tensorflow", "saved-model", found[0] if found else "")


def _mlflow(archive: zipfile.ZipFile, names: list[str]) -> Detected:
    _unpackable(archive)
    root = root_of(names, "MLmodel") or ""
    text = read(archive, f"{root}MLmodel").decode(errors="replace")
    if "python_function" not in text:
        raise NotAModel(
            "The MLflow model has no python_function flavour, by which it would be served; save "
            "it with a flavour of Python."
        )
    version = re.search(r"^mlflow_version:\s*['\"]?([\w.]+)", text, re.MULTILINE)
    return Detected(
        "mlflow", "mlflow", version.group(1) if version else "", _columns_of(text),
        notes=("MLflow: served by its python_function flavour",),
    )  # fmt: skip


def _columns_of(text: str) -> tuple[str, ...]:
    """Names of the signature's input columns; none where it has tensors or cannot be read."""
    found = re.search(r"^\s+inputs:\s*'(\[.*?\])'\s*$", text, re.MULTILINE | re.DOTALL)
    try:
        columns = json.loads(re.sub(r"\n\s+", " ", found.group(1))) if found else []
        return tuple(str(each["name"]) for each in columns if each.get("type") != "tensor")
    except (ValueError, KeyError, TypeError, AttributeError):
        return ()


def _state_dict(archive: zipfile.ZipFile, names: list[str]) -> Detected:
    _unpackable(archive)
    root = root_of(names, "module.py") or ""
    if f"{root}state_dict.pt" not in names:
        raise NotAModel("The archive holds module.py, but no state_dict.pt beside it.")
    return Detected(
        "pytorch", "torch-state-dict", notes=("Weights, with a module.py that is run to load them",)
    )


def _torchscript(archive: zipfile.ZipFile, names: list[str]) -> Detected:
    return Detected("pytorch", "torchscript", notes=("TorchScript: holds its own program",))


def _exported(archive: zipfile.ZipFile, names: list[str]) -> Detected:
    path = next((name for name in names if _is(name, "models/model.json")), "")
    version = str(read_json(archive, path).get("torch_version", "")) if path else ""
    return Detected(
        "pytorch", "torch-export", version.partition("+")[0],
        notes=("torch.export: holds its own program",),
    )  # fmt: skip


def _weights(archive: zipfile.ZipFile, names: list[str]) -> Detected:
    raise NotAModel(_TORCH_WEIGHTS)


_Look = Callable[[zipfile.ZipFile, list[str]], Detected]
_LOOKS: tuple[tuple[tuple[str, ...], _Look], ...] = (
    (("/config.json", "/model.weights.h5"), _keras),
    (("MLmodel",), _mlflow),
    (("saved_model.pb",), _saved_model),
    (("module.py",), _state_dict),
    (("constants.pkl", "data.pkl", "version"), _torchscript),
    (("archive_format", "models/model.json"), _exported),
    (("data.pkl", "version"), _weights),
)

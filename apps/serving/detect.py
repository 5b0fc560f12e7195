"""Tells what a model file is without executing any of it.

Pickles are walked opcode by opcode (`pickletools`), never loaded; archives are read member by
member with a bound on what is unpacked.
"""

import bz2
import gzip
import io
import json
import lzma
import pickletools
import re
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from apps.serving.detect_archives import detect_archive
from apps.serving.detect_graphs import (
    detect_catboost_json,
    detect_cbm,
    detect_lightgbm,
    detect_onnx,
    is_onnx,
)
from apps.serving.detected import Detected, NotAModel

__all__ = ["Detected", "NotAModel", "detect", "globals_of", "unpacked"]

_HEAD_BYTES = 16
_MOST_UNPACKED = 512 * 1024**2
_MOST_SCHEMA = 128 * 1024**2
_MOST_OPCODES = 2_000_000
_HEAD_WITH_LEARNER = 4096
_UBJ_MARKERS = (b"L", b"l", b"I", b"i", b"U", b"$", b"#")
_TORCH_LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
_OTHERS = {
    "lightgbm": "save its booster as text: model.booster_.save_model('model.txt').",
    "catboost": "save it with model.save_model('model.cbm').",
}
_DAMAGES = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, OSError, EOFError, ValueError, KeyError,
    RecursionError, RuntimeError,
)  # fmt: skip


def detect(path: Path) -> Detected:
    """What `path` holds. Raises NotAModel where it is no model of a served framework."""
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    if not head:
        raise NotAModel("The file is empty.")
    if head.startswith(b"PK\x03\x04"):
        return _detect_archive(path)
    if head.startswith(b"CBM1"):
        return detect_cbm(path)
    if head.startswith(b"tree\n"):
        return detect_lightgbm(path)
    if head.startswith(b"\x89HDF"):
        raise NotAModel(
            "This is an HDF5 file, in which older releases of Keras saved; save the model with "
            'model.save("model.keras"), which TensorFlow serves.'
        )
    if head.lstrip()[:1] == b"{":
        return _detect_json_or_ubj(path)
    if head[:1] == b"\x80" or _compression(head):
        return _detect_pickle(path)
    if is_onnx(path):
        return detect_onnx(path)
    raise NotAModel(
        "The file is no model that can be served: it is neither a pickle, joblib or skops file of "
        "scikit-learn, an XGBoost model in JSON or UBJ, a PyTorch, Keras or ONNX file, LightGBM "
        "text, a CatBoost model, nor a zip archive of a SavedModel or an MLflow model."
    )


def unpacked(path: Path) -> bytes:
    """The pickle stream in a file, uncompressed where joblib compressed it; bounded."""
    with path.open("rb") as file:
        kind = _compression(file.read(_HEAD_BYTES))
        file.seek(0)
        try:
            stream: Any = kind(file) if kind else file
            data: bytes = stream.read(_MOST_UNPACKED + 1)
        except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
            raise NotAModel(f"The file is compressed and damaged: {error}") from None
    if len(data) > _MOST_UNPACKED:
        raise NotAModel(f"Unpacked, the file is larger than {_MOST_UNPACKED:,} bytes.")
    return data


def globals_of(data: bytes) -> Iterator[tuple[str, str]]:
    """Module and name of everything that a pickle stream would import, in its order.

    Raises NotAModel where the stream is damaged. joblib writes arrays raw between the opcodes;
    what lies behind the first of them cannot be walked, and ends the search.
    """
    texts: list[str] = []
    try:
        for count, (opcode, argument, _) in enumerate(pickletools.genops(io.BytesIO(data))):
            if count > _MOST_OPCODES:
                return
            if opcode.name in ("GLOBAL", "INST"):
                module, _, name = str(argument).partition(" ")
                yield module, name
            elif opcode.name == "STACK_GLOBAL" and len(texts) >= 2:
                yield texts[-2], texts[-1]
            elif isinstance(argument, str):
                texts.append(argument)
    except Exception as error:
        if b"joblib.numpy_pickle" in data[:200_000] or b"NumpyArrayWrapper" in data:
            return
        raise NotAModel(f"The pickle is damaged or cut off: {error}") from None


def _compression(head: bytes) -> Any:
    if head.startswith(b"\x1f\x8b"):
        return gzip.open
    if head.startswith(b"BZh"):
        return bz2.BZ2File
    if head.startswith((b"\xfd7zXZ", b"\x5d\x00\x00")):
        return lzma.LZMAFile
    if head[:1] == b"\x78" and int.from_bytes(head[:2]) % 31 == 0:
        return _ZlibFile
    return None


class _ZlibFile:
    """Reads a zlib stream up to a bound."""

    def __init__(self, file: Any) -> None:
        self.file = file

    def read(self, size: int) -> bytes:
        return zlib.decompressobj().decompress(self.file.read(), size)


def _detect_archive(path: Path) -> Detected:
    try:
        with zipfile.ZipFile(path) as archive:
            if "schema.json" in archive.namelist():
                return _detect_skops(archive)
            return detect_archive(archive)
    except _DAMAGES as error:
        raise NotAModel(f"The archive is damaged: {error}") from None


def _detect_skops(archive: zipfile.ZipFile) -> Detected:
    if archive.getinfo("schema.json").file_size > _MOST_SCHEMA:
        raise NotAModel("The schema in the skops file is too large.")
    schema = archive.read("schema.json")
    if not isinstance(json.loads(schema), dict):
        raise NotAModel("The file is a zip archive, but no skops file: its schema is none.")
    return Detected(
        framework="sklearn",
        format="skops",
        framework_version=_sklearn_version(schema),
        notes=("skops: loads without running code from the file",),
    )


def _detect_json_or_ubj(path: Path) -> Detected:
    with path.open("rb") as file:
        head = file.read(_HEAD_WITH_LEARNER)
        is_catboost = re.search(rb'"(features_info|model_info|oblivious_trees)"\s*:', head)
        if b"learner" not in head and not is_catboost:
            raise NotAModel(
                "The file is JSON, but no XGBoost model: it has no learner. Nor has it what "
                "CatBoost writes."
            )
        if not is_catboost and head[1:2] in _UBJ_MARKERS:
            return Detected("xgboost", "xgboost-ubj", notes=("XGBoost UBJ: safe to load",))
        if path.stat().st_size > _MOST_UNPACKED:
            raise NotAModel(
                "The JSON is too large to look into; save XGBoost as .ubj, CatBoost as .cbm."
            )
        data = head + file.read()
    if is_catboost:
        return _detect_catboost(data)
    try:
        document = json.loads(data)
        learner = document["learner"]
        objective = str(learner["objective"]["name"])
        version = ".".join(str(int(part)) for part in document["version"])
        features = tuple(str(name) for name in learner.get("feature_names", []))
    except (ValueError, RecursionError) as error:
        raise NotAModel(f"The JSON is damaged or cut off: {error}") from None
    except (KeyError, TypeError, AttributeError):
        raise NotAModel("The file is JSON, but not in the form in which XGBoost saves.") from None
    return Detected(
        framework="xgboost",
        format="xgboost-json",
        framework_version=version,
        features=features,
        problem_type=_problem_of(objective),
        notes=("XGBoost JSON: safe to load",),
    )


def _detect_catboost(data: bytes) -> Detected:
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise NotAModel(f"The JSON is damaged or cut off: {error}") from None
    return detect_catboost_json(document if isinstance(document, dict) else {})


def _problem_of(objective: str) -> str:
    if objective.startswith(("multi:", "binary:")):
        return "classificationWithProbabilities"
    return "regression" if objective else ""


def _detect_pickle(path: Path) -> Detected:
    data = unpacked(path)
    if data[:1] != b"\x80":
        raise NotAModel("The file is compressed, but what it holds is no pickle.")
    modules = {module.partition(".")[0] for module, _ in globals_of(data)}
    joblib = "joblib" in modules or b"joblib.numpy_pickle" in data
    format_ = "joblib" if joblib else "pickle"
    if "sklearn" in modules or b"sklearn." in data:
        return Detected("sklearn", format_, _sklearn_version(data))
    if data.startswith(_TORCH_LEGACY) or any(module.startswith("torch") for module in modules):
        raise NotAModel(
            "This is a pickled PyTorch model or its weights; save it as TorchScript or with "
            "torch.export.save, or zip state_dict.pt together with module.py."
        )
    for other, advice in _OTHERS.items():
        if other in modules:
            raise NotAModel(f"This is a pickled {other} model; {advice}")
    if "xgboost" in modules:
        raise NotAModel(
            "This is a pickled XGBoost model; save it with save_model as .json or .ubj, which "
            "loads in every version and runs no code."
        )
    found = ", ".join(sorted(modules)) or "plain values"
    raise NotAModel(f"This pickle holds no scikit-learn model; it refers to {found}.")


def _sklearn_version(data: bytes) -> str:
    """The text that follows `_sklearn_version`, which every fitted estimator carries."""
    start = data.rfind(b"_sklearn_version")
    if start < 0:
        return ""
    tail = data[start + 16 : start + 160]
    digits = b""
    for byte in tail:
        character = bytes([byte])
        if character.isdigit() or (digits and character == b"."):
            digits += character
        elif digits.count(b".") >= 1:
            break
        else:
            digits = b""
    return digits.decode()

"""Tells models apart that are one plain file: ONNX graphs, LightGBM text and CatBoost."""

import mmap
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from apps.serving import protobuf
from apps.serving.detected import Detected, NotAModel

_MOST_READ = 2 * 1024**3
_HEAD_BYTES = 4 * 1024**2
# Fields of an ONNX model, of its graph, and of what these hold.
IR_VERSION, PRODUCER, PRODUCER_VERSION, GRAPH = 1, 2, 3, 7
NODES, INITIALIZERS, INPUTS = 1, 5, 11
_TENSOR_NAME, _DATA_LOCATION, _EXTERNAL = 8, 14, 1
_TYPE, _TENSOR_TYPE, _SHAPE, _DIM, _DIM_VALUE = 2, 1, 2, 1, 1


def is_onnx(path: Path) -> bool:
    """True where the file begins as an ONNX model does: its version, and texts or a graph."""
    with path.open("rb") as file:
        head = file.read(64)
    if head[:1] != b"\x08" or len(head) < 4 or not 0 < head[1] < 64:
        return False
    number = head[2] >> 3
    return number in (PRODUCER, PRODUCER_VERSION, 4, 5, 6, GRAPH, 8) and head[2] & 7 in (0, 2)


def detect_onnx(path: Path) -> Detected:
    """An ONNX model. Raises NotAModel where it is damaged or has its weights elsewhere."""
    if path.stat().st_size > _MOST_READ:
        raise NotAModel("The ONNX file is larger than 2 GB.")
    data = memoryview(path.read_bytes())
    try:
        graphs = list(protobuf.messages(data, GRAPH))
        producer = " ".join(
            [*protobuf.texts(data, PRODUCER), *protobuf.texts(data, PRODUCER_VERSION)]
        )
        if not graphs:
            raise NotAModel("The file begins like an ONNX model, but holds no graph.")
        if any(_is_elsewhere(each) for each in protobuf.messages(graphs[0], INITIALIZERS)):
            raise NotAModel(
                "The weights of the ONNX model lie in another file. Save it with "
                "onnx.save(model, path, save_as_external_data=False)."
            )
        features = _columns_of(graphs[0])
    except protobuf.NotProtobuf as error:
        raise NotAModel(f"The ONNX file is damaged: {error}.") from None
    notes = ("ONNX: a graph of known operators, runs no code",)
    return Detected(
        "onnx", "onnx", "", features, notes=(*notes, f"Made by {producer}") if producer else notes
    )


def _is_elsewhere(tensor: memoryview) -> bool:
    return any(
        number == _DATA_LOCATION and value == _EXTERNAL for number, value in protobuf.fields(tensor)
    )


def _columns_of(graph: memoryview) -> tuple[str, ...]:
    """The inputs where every one of several is a column: one value for each row."""
    columns = []
    for name, sides in _inputs_of(graph):
        width = [v for side in sides[1:] for n, v in protobuf.fields(side) if n == _DIM_VALUE]
        if len(sides) > 2 or (len(sides) == 2 and width != [1]):
            return ()
        columns.append(name)
    return tuple(columns) if len(columns) > 1 else ()


def _inputs_of(graph: memoryview) -> Iterator[tuple[str, list[memoryview]]]:
    """Name and sides of each input that is no weight; no sides where the graph tells none."""
    weights = set(protobuf.texts(graph, INITIALIZERS, _TENSOR_NAME))
    for each in protobuf.messages(graph, INPUTS):
        name = next(protobuf.texts(each, 1), "")
        if name not in weights:
            yield name, list(protobuf.messages(each, _TYPE, _TENSOR_TYPE, _SHAPE, _DIM))


def ranks_of_onnx(path: Path) -> list[int]:
    """How many sides each input of a graph has, the batch counted; 0 where it tells none.

    The file is mapped, so that its weights are not read. Raises NotProtobuf where it is damaged.
    """
    with path.open("rb") as file:
        data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    graphs = protobuf.messages(data, GRAPH)
    return [len(sides) for graph in graphs for _, sides in _inputs_of(graph)]


def detect_lightgbm(path: Path) -> Detected:
    """A LightGBM booster in text form."""
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES).decode(errors="replace")
        file.seek(max(0, path.stat().st_size - _HEAD_BYTES))
        tail = file.read()
    if b"end of trees" not in tail or "\nfeature_names=" not in head:
        raise NotAModel("The file begins like a LightGBM model, but is damaged or cut off.")
    names = tuple(_line(head, "feature_names").split(" "))
    named = () if all(re.fullmatch(r"Column_\d+", name) for name in names) else names
    objective = _line(head, "objective").partition(" ")[0]
    classes = objective in ("binary", "multiclass", "multiclassova")
    return Detected(
        "lightgbm", "lightgbm-text", "", named,
        "classificationWithProbabilities" if classes else "regression" if objective else "",
        notes=("LightGBM text: numbers alone, runs no code",),
    )  # fmt: skip


def _line(text: str, key: str) -> str:
    found = re.search(rf"^{key}=(.*)$", text, re.MULTILINE)
    return found.group(1).strip() if found else ""


def detect_cbm(path: Path) -> Detected:
    """CatBoost's own binary form: the release stands in it as text."""
    data = path.read_bytes()
    if b"model_guid" not in data:
        raise NotAModel("The file begins like a CatBoost model, but is damaged or cut off.")
    version = re.search(rb"Branch: tags/v([\d.]+)", data)
    kinds = re.search(rb'"class_label_type"', data)
    return Detected(
        "catboost", "catboost-cbm", version.group(1).decode() if version else "",
        problem_type="classificationWithProbabilities" if kinds else "",
        notes=("CatBoost: trees alone, runs no code",),
    )  # fmt: skip


def detect_catboost_json(document: dict[str, Any]) -> Detected:
    """CatBoost as JSON. Raises NotAModel where it is not in its form."""
    try:
        about, kinds = document["model_info"], document["features_info"]
        entries = [each for kind in kinds.values() if isinstance(kind, list) for each in kind]
        placed = {
            int(each["flat_feature_index"]): str(each.get("feature_name") or "")
            for each in entries
            if isinstance(each, dict) and "flat_feature_index" in each
        }
        version = re.search(r"Branch: tags/v([\d.]+)", str(about.get("catboost_version_info", "")))
        classes = bool((about.get("class_params") or {}).get("class_names"))
    except (KeyError, TypeError, ValueError, AttributeError):
        raise NotAModel("The file is JSON, but not in the form in which CatBoost saves.") from None
    names = tuple(placed[at] for at in sorted(placed))
    whole = all(names) and sorted(placed) == list(range(len(placed)))
    numbered = names == tuple(str(at) for at in range(len(names)))
    return Detected(
        "catboost", "catboost-json", version.group(1) if version else "",
        names if whole and not numbered else (),
        "classificationWithProbabilities" if classes else "regression",
        notes=("CatBoost JSON: trees alone, runs no code",),
    )  # fmt: skip

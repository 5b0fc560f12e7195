"""The kept ONNX files, asked through onnxruntime directly; runs in the environment of ONNX."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from tests.serving.cases import PROBABILITIES, Fitted

SINGLE = 1e-6
FIXTURES = Path(__file__).resolve().parents[2] / "fixtures"
COLUMNS: list[dict[str, Any]] = [
    {"name": "income", "type": "number"},
    {"name": "age", "type": "number"},
    {"name": "city", "type": "category", "categories": ["Ede", "Goor", "Urk"]},
]


def _copied(fitted: Fitted, path: Path) -> None:
    shutil.copy(fitted.model, path)


FORMATS = {"onnx": _copied}


def _run(name: str, inputs: dict[str, Any]) -> tuple[Path, list[Any]]:
    """The file, and the outputs as onnxruntime gives them."""
    path = FIXTURES / "artifacts" / "onnx" / f"{name}.onnx"
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return path, session.run(None, inputs)


def _digits() -> np.ndarray:
    with np.load(FIXTURES / "digits.npz") as data:
        return data["images"][1400:1406].reshape(-1, 64).astype("float32")


def digits() -> Fitted:
    images = _digits()
    path, (_, chances) = _run("digits", {"image": images})
    return Fitted(path, images.tolist(), chances, {"problemType": PROBABILITIES}, SINGLE)


def digits_as_classes() -> Fitted:
    images = _digits()
    path, (labels, _) = _run("digits", {"image": images})
    return Fitted(path, images.tolist(), labels, {"problemType": "classification"}, SINGLE)


def label_and_probabilities_together() -> Fitted:
    """Without a problem type the answer is all that the graph gives."""
    images = _digits()
    path, (labels, chances) = _run("digits", {"image": images})
    pairs = zip(labels.tolist(), chances.tolist(), strict=True)
    expected = [{"label": label, "probabilities": chance} for label, chance in pairs]
    return Fitted(path, images.tolist(), expected, {}, SINGLE)


def _table() -> tuple[list[dict[str, Any]], dict[str, np.ndarray]]:
    rows = [
        {"income": 2.5, "age": 33.0, "city": "Urk"},
        {"income": 0.25, "age": 51.0, "city": "Ede"},
        {"income": 1.75, "age": 47.5, "city": "Goor"},
    ]
    kinds = {"income": np.float32, "age": np.float32, "city": object}
    named = {
        name: np.array([[row[name]] for row in rows], dtype=kind) for name, kind in kinds.items()
    }
    return rows, named


def named_columns() -> Fitted:
    rows, named = _table()
    path, (_, chances) = _run("columns", named)
    meta = {"problemType": PROBABILITIES, "features": COLUMNS}
    return Fitted(path, rows, chances, meta, SINGLE)


def probabilities_in_maps() -> Fitted:
    rows, named = _table()
    path, (_, maps) = _run("columns_with_maps", named)
    chances = [[each[0], each[1]] for each in maps]
    meta = {"problemType": PROBABILITIES, "features": COLUMNS}
    return Fitted(path, rows, chances, meta, SINGLE)


def several_inputs_and_outputs() -> Fitted:
    images = np.random.default_rng(2).random((4, 4)).astype("float32")
    counts = np.arange(1, 5).reshape(4, 1)
    path, (scaled, total) = _run("several", {"image": images, "count": counts})
    pairs = zip(images.tolist(), counts.tolist(), strict=True)
    rows = [{"image": image, "count": count} for image, count in pairs]
    answers = zip(scaled.tolist(), total.tolist(), strict=True)
    expected = [{"scaled": one, "total": other} for one, other in answers]
    return Fitted(path, rows, expected, {}, SINGLE)


def one_of_several_outputs() -> Fitted:
    case = several_inputs_and_outputs()
    totals = [each["total"] for each in case.expected]
    return Fitted(case.model, case.instances, totals, {"outputName": "total"}, SINGLE)


def double_precision() -> Fitted:
    rows = np.random.default_rng(3).random((4, 3))
    path, (scores,) = _run("double", {"row": rows})
    return Fitted(path, rows.tolist(), scores)


def one_row_at_a_time() -> Fitted:
    rows = np.random.default_rng(4).random((3, 3)).astype("float32")
    answers = [_run("one_row", {"row": rows[at : at + 1]})[1][0][0] for at in range(3)]
    path = FIXTURES / "artifacts" / "onnx" / "one_row.onnx"
    return Fitted(path, rows.tolist(), np.array(answers), {}, SINGLE)


CASES = (
    digits,
    digits_as_classes,
    label_and_probabilities_together,
    named_columns,
    probabilities_in_maps,
    several_inputs_and_outputs,
    one_of_several_outputs,
    double_precision,
    one_row_at_a_time,
)

"""What archives and graphs would run is named; what holds numbers alone is not held back."""

import io
import json
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import joblib
import pytest

from apps.registry.models import asked_of
from apps.registry.scan import scan

MLMODEL = "flavors:\n  python_function:\n    loader_module: {loader}\n"


class Calls:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("true",)


def scanned(folder: Path, format_: str, content: bytes) -> dict[str, Any]:
    (folder / "model").write_bytes(content)
    return scan(folder / "model", format_)


def zipped(members: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


def with_members(content: bytes, members: dict[str, bytes]) -> bytes:
    """The archive with further or other files."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        kept = {name: archive.read(name) for name in archive.namelist()}
    return zipped(kept | members)


def named(result: dict[str, Any]) -> dict[str, str]:
    return {found["what"]: found["level"] for found in result["findings"]}


@pytest.mark.parametrize(
    ("name", "format_", "risk"),
    [
        ("digits.pt", "torchscript", "none"),
        ("digits.pt2", "torch-export", "none"),
        ("digits-saved-model.zip", "saved-model", "none"),
        ("digits.keras", "keras", "none"),
        ("digits.onnx", "onnx", "none"),
        ("columns.txt", "lightgbm-text", "none"),
        ("columns.cbm", "catboost-cbm", "none"),
        ("columns.json", "catboost-json", "none"),
        ("columns-mlflow.zip", "mlflow", "low"),
    ],
)
def test_real_models_of_numbers_ask_for_nothing(
    files: dict[str, bytes], name: str, format_: str, risk: str, tmp_path: Path
) -> None:
    result = scanned(tmp_path, format_, files[name])
    assert result["risk"] == risk
    assert asked_of(result, format_) == []


def test_a_state_dict_asks_for_an_answer_because_its_module_runs(
    files: dict[str, bytes], tmp_path: Path
) -> None:
    result = scanned(tmp_path, "torch-state-dict", files["digits-state-dict.zip"])
    assert named(result) == {"module.py": "unknown"}
    assert asked_of(result, "torch-state-dict") == result["findings"]


@pytest.mark.parametrize(
    ("name", "format_", "member"),
    [
        ("digits.pt", "torchscript", "model/data.pkl"),
        ("digits.pt2", "torch-export", "digits/data/constants/tensor_0.pt"),
        ("digits-state-dict.zip", "torch-state-dict", "scorer/state_dict.pt"),
        ("digits-saved-model.zip", "saved-model", "scorer/assets/words.pkl"),
        ("digits.keras", "keras", "assets/words.pkl"),
        ("columns-mlflow.zip", "mlflow", "artifacts/inner.pkl"),
    ],
)
def test_a_pickle_anywhere_in_an_archive_is_walked(
    files: dict[str, bytes], name: str, format_: str, member: str, tmp_path: Path
) -> None:
    content = with_members(files[name], {member: pickle.dumps(Calls())})
    result = scanned(tmp_path, format_, content)
    assert result["risk"] == "dangerous"
    assert result["findings"][0] == {
        "level": "dangerous",
        "what": "posix.system",
        "where": member,
    }


def test_a_pickle_in_an_archive_in_an_archive_is_walked(
    files: dict[str, bytes], tmp_path: Path
) -> None:
    inner = zipped({"w/data.pkl": pickle.dumps(Calls()), "w/version": b"3"})
    content = with_members(files["digits-state-dict.zip"], {"scorer/state_dict.pt": inner})
    assert scanned(tmp_path, "torch-state-dict", content)["risk"] == "dangerous"


def test_torchscript_that_reaches_files_is_named(files: dict[str, bytes], tmp_path: Path) -> None:
    code = b"def forward(self, x: Tensor) -> Tensor:\n  return torch.from_file('/etc/passwd')\n"
    content = with_members(files["digits.pt"], {"model/code/__torch__/more.py": code})
    assert named(scanned(tmp_path, "torchscript", content)) == {"torch.from_file": "unknown"}


def test_an_operator_of_ones_own_in_an_exported_program_is_named(
    files: dict[str, bytes], tmp_path: Path
) -> None:
    with zipfile.ZipFile(io.BytesIO(files["digits.pt2"])) as archive:
        path = next(name for name in archive.namelist() if name.endswith("models/model.json"))
        text = archive.read(path).replace(b"torch.ops.aten.relu.default", b"torch.ops.mine.run")
    content = with_members(files["digits.pt2"], {path: text})
    assert named(scanned(tmp_path, "torch-export", content)) == {"torch.ops.mine.run": "unknown"}


def _keras(layer: dict[str, Any]) -> bytes:
    config = {"module": "keras", "class_name": "Sequential", "config": {"layers": [layer]}}
    return zipped({"config.json": json.dumps(config).encode(), "model.weights.h5": b""})


def test_a_lambda_layer_is_dangerous_and_a_foreign_class_unknown(tmp_path: Path) -> None:
    lambda_ = {"module": "keras.layers", "class_name": "Lambda", "config": {}}
    result = scanned(tmp_path, "keras", _keras(lambda_))
    assert named(result) == {"Lambda": "dangerous"}
    foreign = {"module": "acme.layers", "class_name": "Mystery", "config": {}}
    assert named(scanned(tmp_path, "keras", _keras(foreign))) == {"acme.layers.Mystery": "unknown"}


def _message(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | 2, len(content)]) + content


@pytest.mark.parametrize("inside", ["graph", "function"])
@pytest.mark.parametrize("operator", [b"ReadFile", b"WriteFile", b"EagerPyFunc", b"RpcCall"])
def test_operators_of_a_saved_model_that_reach_out_are_listed(
    operator: bytes, inside: str, tmp_path: Path
) -> None:
    node = _message(1, b"n") + _message(2, operator)
    graph = _message(1, node)
    if inside == "function":
        graph = _message(2, _message(1, _message(3, node)))
    model = zipped({"saved_model.pb": _message(2, _message(2, graph))})
    assert named(scanned(tmp_path, "saved-model", model)) == {operator.decode(): "unknown"}


def test_an_operator_beyond_onnx_is_named(tmp_path: Path) -> None:
    node = _message(4, b"Run") + _message(7, b"acme.ops")
    content = b"\x08\x09" + _message(7, _message(1, node))
    assert named(scanned(tmp_path, "onnx", content)) == {"acme.ops.Run": "unknown"}


def test_code_and_loaders_of_an_mlflow_folder_ask_for_an_answer(tmp_path: Path) -> None:
    folder = {"MLmodel": MLMODEL.format(loader="acme.serve").encode(), "code/acme.py": b"pass"}
    result = scanned(tmp_path, "mlflow", zipped(folder))
    assert named(result) == {"acme.py": "unknown", "acme.serve": "unknown"}
    assert len(asked_of(result, "mlflow")) == 2


def test_a_known_pickle_in_mlflow_is_low(tmp_path: Path) -> None:
    from sklearn.linear_model import LinearRegression

    stream = io.BytesIO()
    joblib.dump(LinearRegression().fit([[1.0]], [1.0]), stream)
    folder = {"MLmodel": MLMODEL.format(loader="mlflow.sklearn").encode()}
    folder["model.pkl"] = stream.getvalue()
    assert scanned(tmp_path, "mlflow", zipped(folder))["risk"] == "low"


@pytest.mark.parametrize(
    "format_", ["torchscript", "torch-export", "torch-state-dict", "keras", "saved-model", "mlflow"]
)
def test_what_cannot_be_read_is_dangerous(format_: str, tmp_path: Path) -> None:
    assert scanned(tmp_path, format_, b"PK\x03\x04 broken")["risk"] == "dangerous"

"""Files of every kind are told apart without being run, and forged ones end the look politely."""

import gzip
import io
import json
import pickle
import struct
import time
import zipfile
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import xgboost
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from apps.registry.scan import scan
from apps.serving import detect as module
from apps.serving.detect import NotAModel, detect

ROWS, CLASSES = np.eye(4), [0, 1, 0, 1]


def found(folder: Path, content: bytes) -> Any:
    (folder / "file").write_bytes(content)
    return detect(folder / "file")


def refusal(folder: Path, content: bytes) -> str:
    with pytest.raises(NotAModel) as refused:
        found(folder, content)
    return str(refused.value)


def zipped(**members: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name.replace("_json", ".json"), content)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("name", "framework", "format_"),
    [
        ("model.skops", "sklearn", "skops"),
        ("model.joblib", "sklearn", "joblib"),
        ("dangerous.pkl", "sklearn", "pickle"),
        ("model.json", "xgboost", "xgboost-json"),
        ("model.ubj", "xgboost", "xgboost-ubj"),
        ("digits.pt", "pytorch", "torchscript"),
        ("digits.pt2", "pytorch", "torch-export"),
        ("digits-state-dict.zip", "pytorch", "torch-state-dict"),
        ("digits-saved-model.zip", "tensorflow", "saved-model"),
        ("digits.keras", "tensorflow", "keras"),
        ("digits.onnx", "onnx", "onnx"),
        ("columns.txt", "lightgbm", "lightgbm-text"),
        ("columns.cbm", "catboost", "catboost-cbm"),
        ("columns.json", "catboost", "catboost-json"),
        ("columns-mlflow.zip", "mlflow", "mlflow"),
    ],
)
def test_real_files_are_told_apart(
    files: dict[str, bytes], name: str, framework: str, format_: str, tmp_path: Path
) -> None:
    seen = found(tmp_path, files[name])
    assert (seen.framework, seen.format) == (framework, format_)


def test_an_xgboost_wrapper_in_joblib_gets_the_advice_to_use_its_own_format(tmp_path: Path) -> None:
    joblib.dump(xgboost.XGBClassifier(n_estimators=2).fit(ROWS, CLASSES), tmp_path / "m")
    with pytest.raises(NotAModel, match=r"save it with save_model as \.json or \.ubj"):
        detect(tmp_path / "m")


def test_a_pipeline_with_an_xgboost_wrapper_is_one_of_scikit_learn(tmp_path: Path) -> None:
    pipeline = make_pipeline(StandardScaler(), xgboost.XGBClassifier(n_estimators=2))
    joblib.dump(pipeline.fit(ROWS, CLASSES), tmp_path / "m")
    assert (detect(tmp_path / "m").framework, detect(tmp_path / "m").format) == (
        "sklearn",
        "joblib",
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b"%PDF-1.7", "neither a pickle, joblib or skops file"),
        (b"{}", "no learner"),
        (b'{"learner": 3, "version": [3]}', "not in the form"),
        (b'{"learner": {"objective": {"name": "x"}}, "version": ["a"]}', "damaged"),
        (b'{"learner": {"objective"', "damaged or cut off"),
        (b'{"learner": ' + b"[" * 200_000, "damaged or cut off"),
        (zipped(a=b"x"), "no schema.json"),
        (zipped(schema_json=b"[1]"), "its schema is none"),
        (zipped(schema_json=b"["), "damaged"),
        (zipped(schema_json=b"[" * 200_000), "damaged"),
        (zipped(inner=zipped(schema_json=b"{}")), "no schema.json"),
        (b"PK\x03\x04 cut off", "damaged"),
        (gzip.compress(b"no pickle"), "no pickle"),
        (gzip.compress(b"\x80\x04" + b"x" * 99)[:-20], "damaged"),
        (pickle.dumps({"a": 1}), "plain values"),
        (b"\x80\x04", "damaged or cut off"),
    ],
    ids=range(17),
)
def test_what_is_no_model_is_refused_in_words(content: bytes, message: str, tmp_path: Path) -> None:
    assert message in refusal(tmp_path, content)


def test_what_unpacks_to_too_much_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_MOST_UNPACKED", 1024**2)
    monkeypatch.setattr(module, "_MOST_SCHEMA", 1024**2)
    bomb = b"\x80\x04" + bytes(50 * 1024**2)
    assert "larger than" in refusal(tmp_path, gzip.compress(bomb))
    assert "too large" in refusal(tmp_path, zipped(schema_json=bomb))
    learner = b'{"learner": "' + b"x" * 2 * 1024**2 + b'"}'
    assert "too large" in refusal(tmp_path, learner)


def test_endless_instructions_end_the_look(tmp_path: Path) -> None:
    (tmp_path / "m").write_bytes(b"\x80\x04csklearn\nX\n" + b"N0" * 6_000_000 + b".")
    began = time.monotonic()
    detect(tmp_path / "m")
    assert scan(tmp_path / "m", "pickle")["risk"] == "dangerous"
    assert time.monotonic() - began < 60


def test_room_for_bytes_that_are_not_there_is_not_made(tmp_path: Path) -> None:
    (tmp_path / "m").write_bytes(b"\x80\x05\x96" + struct.pack("<Q", 40 * 1024**3) + b"few.")
    assert "fewer bytes" in scan(tmp_path / "m", "pickle")["findings"][0]["where"]


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.data())
def test_no_mutation_of_a_real_file_breaks_the_look(
    files: dict[str, bytes], tmp_path: Path, data: st.DataObject
) -> None:
    """Bytes changed, cut, doubled: a model, or a refusal in words; and a scan that ends."""
    content = bytearray(files[data.draw(st.sampled_from(sorted(files)))])
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(content) - 1))
        length = data.draw(st.integers(0, 40))
        content[at : at + length] = data.draw(st.binary(max_size=40))
        if not content:
            return
    try:
        seen = found(tmp_path, bytes(content))
    except NotAModel:
        return
    json.dumps(scan(tmp_path / "file", seen.format))

"""Files of deep learning and of trees: what they say of themselves, and what is refused."""

import io
import pickle
import zipfile
from pathlib import Path

import pytest

from apps.serving.detect import Detected, NotAModel, detect


def found(folder: Path, content: bytes) -> Detected:
    (folder / "file").write_bytes(content)
    return detect(folder / "file")


def refusal(folder: Path, content: bytes) -> str:
    with pytest.raises(NotAModel) as refused:
        found(folder, content)
    return str(refused.value)


def zipped(**members: bytes) -> bytes:
    """An archive; `__` in a name is a dot, `_in_` a slash."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name.replace("_in_", "/").replace("__", "."), content)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("digits.pt2", "2.13.0"),
        ("digits-saved-model.zip", "2.21.0"),
        ("columns.cbm", "1.2.10"),
        ("columns.json", "1.2.10"),
        ("columns-mlflow.zip", "3.17.2"),
    ],
)
def test_the_release_is_read_where_the_file_tells(
    files: dict[str, bytes], name: str, version: str, tmp_path: Path
) -> None:
    assert found(tmp_path, files[name]).framework_version == version


@pytest.mark.parametrize(
    ("name", "features"),
    [
        ("columns.txt", ("income", "age", "city", "owner")),
        ("columns.json", ("income", "age", "owner")),
        ("columns-mlflow.zip", ("income", "age")),
        ("digits.onnx", ()),
        ("onnx/columns.onnx", ("income", "age", "city")),
        ("onnx/several.onnx", ()),
    ],
)
def test_columns_are_read_where_the_file_names_them(
    name: str, features: tuple[str, ...], tmp_path: Path, artifacts: Path
) -> None:
    assert found(tmp_path, (artifacts / name).read_bytes()).features == features


def test_an_objective_tells_what_is_predicted(files: dict[str, bytes], tmp_path: Path) -> None:
    kind = "classificationWithProbabilities"
    for name in ("columns.txt", "columns.cbm", "columns.json"):
        assert found(tmp_path, files[name]).problem_type == kind


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (zipped(a=b"x"), "no schema.json"),
        (zipped(m_in_data__pkl=b"x", m_in_version=b"3"), "TorchScript"),
        (zipped(module__py=b"x"), "no state_dict.pt"),
        (zipped(MLmodel=b"flavors:\n  r: {}\n"), "no python_function"),
        (zipped(saved_model__pb=b"\x12\xff\xff"), "damaged"),
        (zipped(config__json=b"[", model__weights__h5=b"x"), "damaged"),
        (pickle.dumps({"a": 1}), "plain values"),
        (b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.", "TorchScript"),
        (b"\x89HDF\r\n\x1a\n", "model.keras"),
        (b"tree\nversion=v4\nfeature_names=a b\n", "cut off"),
        (b"CBM1" + b"\x00" * 40, "cut off"),
        (b'{"model_info": 3, "features_info": {}}', "form in which CatBoost"),
        (b'{"features_info": [', "damaged or cut off"),
        (b"\x08\x07\x12\x04onnx", "no graph"),
        (b"\x08\x07\x3a\x7f" + b"x" * 9, "damaged"),
    ],
    ids=range(15),
)
def test_what_cannot_be_served_is_refused_with_a_way_out(
    content: bytes, message: str, tmp_path: Path
) -> None:
    assert message in refusal(tmp_path, content)


def test_weights_of_onnx_in_another_file_are_refused(tmp_path: Path) -> None:
    tensor = b"\x42\x01w\x70\x01"  # its name, and that its data lies elsewhere
    graph = b"\x2a" + bytes([len(tensor)]) + tensor
    model = b"\x08\x09\x3a" + bytes([len(graph)]) + graph
    assert "save_as_external_data=False" in refusal(tmp_path, model)


def test_an_archive_that_leads_out_of_itself_is_refused_when_it_comes(
    files: dict[str, bytes], tmp_path: Path
) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(files["digits-state-dict.zip"])
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("../../etc/cron.d/x", "boo")
    assert "leads out of the archive" in refusal(tmp_path, path.read_bytes())

"""Archives are unpacked below their folder and nowhere else, within bounds, once."""

import io
import os
import stat
import zipfile
from pathlib import Path

import pytest

from apps.core.errors import Invalid
from apps.registry import archives, storage
from apps.serving import archives as module
from apps.serving.archives import BadArchive, unpack


def packed(path: Path, *members: tuple[str | zipfile.ZipInfo, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content, zipfile.ZIP_DEFLATED)
    return path


def link(name: str, kind: int = stat.S_IFLNK) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = (kind | 0o777) << 16
    return info


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("../out", "leads out"),
        ("a/../../out", "leads out"),
        ("/etc/passwd", "no path below"),
        ("C:/windows", "no path below"),
        ("a\\..\\out", "no path below"),
        ("a//b", "leads out"),
        ("./a", "leads out"),
        (link("a"), "link or a device"),
        (link("a", stat.S_IFCHR), "link or a device"),
        ("a" * 1200, "1,200 characters"),
    ],
    ids=range(10),
)
def test_names_and_kinds_that_no_model_needs_are_refused(
    name: str | zipfile.ZipInfo, message: str, tmp_path: Path
) -> None:
    path = packed(tmp_path / "a.zip", ("fine", b"x"), (name, b"/etc"))
    with pytest.raises(BadArchive, match=message):
        unpack(path, tmp_path / "in" / "side")
    assert [each.name for each in tmp_path.iterdir() if each.name != "in"] == ["a.zip"]
    assert not any(each.is_file() for each in (tmp_path / "in").rglob("*"))


def test_a_name_that_comes_twice_is_refused(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate"):
        path = packed(tmp_path / "a.zip", ("a", b"x"), ("a", b"y"))
    with pytest.raises(BadArchive, match="twice"):
        unpack(path, tmp_path / "out")


def test_bombs_are_refused_before_they_are_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = packed(tmp_path / "a.zip", ("a", bytes(80 * 1024**2)))
    with pytest.raises(BadArchive, match="far more than it is"):
        unpack(path, tmp_path / "ratio")
    monkeypatch.setattr(module, "MOST_BYTES", 1024**2)
    with pytest.raises(BadArchive, match="larger than"):
        unpack(path, tmp_path / "size")
    monkeypatch.setattr(module, "MOST_FILES", 1)
    path = packed(tmp_path / "b.zip", ("a", b""), ("b", b""))
    with pytest.raises(BadArchive, match="holds 2 files"):
        unpack(path, tmp_path / "count")


def test_a_member_longer_than_it_claims_is_refused(tmp_path: Path) -> None:
    """The size in the archive's directory is forged."""
    path = packed(tmp_path / "a.zip", ("a", b"x" * 5000))
    forged = path.read_bytes().replace((5000).to_bytes(4, "little"), (4000).to_bytes(4, "little"))
    path.write_bytes(forged)
    with pytest.raises(BadArchive):
        unpack(path, tmp_path / "out")


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04"])
def test_what_is_no_archive_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(BadArchive, match="damaged"):
        unpack(tmp_path / "a", tmp_path / "out")


def test_a_model_is_unpacked_once_for_all_to_read_and_found_in_its_folder(
    files: dict[str, bytes],
) -> None:
    stored = storage.store([files["digits-state-dict.zip"]])
    place = archives.place_of(stored.sha256, "torch-state-dict")
    assert place == archives.folder() / stored.sha256 / "scorer"
    assert (place / "module.py").read_text().startswith('"""The modules')
    assert stat.S_IMODE(place.stat().st_mode) == 0o755
    assert stat.S_IMODE((place / "state_dict.pt").stat().st_mode) == 0o644
    before = (place / "module.py").stat().st_ino
    assert archives.place_of(stored.sha256, "torch-state-dict") == place
    assert (place / "module.py").stat().st_ino == before
    assert storage.digest_in(str(place)) == storage.digest_in(str(stored.path)) == stored.sha256


def test_a_file_that_is_a_whole_model_stays_where_it_is(files: dict[str, bytes]) -> None:
    stored = storage.store([files["digits.onnx"]])
    assert archives.place_of(stored.sha256, "onnx") == stored.path


def test_an_archive_that_is_refused_leaves_nothing() -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("module.py", "x")
        archive.writestr("../x", "x")
    stored = storage.store([stream.getvalue()])
    with pytest.raises(Invalid, match="leads out of the archive"):
        archives.place_of(stored.sha256, "torch-state-dict")
    assert not list(archives.folder().glob(f"{stored.sha256}*"))


def test_what_nobody_needs_any_more_is_removed(files: dict[str, bytes]) -> None:
    stored = storage.store([files["digits-saved-model.zip"]])
    place = archives.folder() / stored.sha256
    archives.place_of(stored.sha256, "saved-model")
    archives.forget({stored.sha256}, before=2**40)
    assert place.exists()
    os.utime(place, (0, 0))
    archives.forget(set(), before=1000.0)
    assert not place.exists()

"""Unpacks an archive of a model into a folder, within bounds, and finds the model in it.

Standard library alone: the registry unpacks before a model server starts, and a model server that
fetched the archive itself does it there. Only plain files and folders below the target are made.
"""

import posixpath
import stat
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path

_DAMAGES = (
    zipfile.BadZipFile, zlib.error, EOFError, ValueError, RuntimeError, NotImplementedError,
)  # fmt: skip
# What stands in the folder of a model that comes as an archive, by format.
MARKS = {"saved-model": "saved_model.pb", "mlflow": "MLmodel", "torch-state-dict": "module.py"}
MOST_FILES = 10_000
MOST_BYTES = 8 * 1024**3
_MOST_RATIO, _RATIO_FROM = 200, 64 * 1024**2
_CHUNK_BYTES = 1024**2
_LONGEST_NAME = 1000


class BadArchive(Exception):
    """The archive is damaged, or holds what no archive of a model needs; the message says what."""


def checked_members(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """The files in an archive. Raises BadArchive for names, kinds and sizes that are refused."""
    members = archive.infolist()
    if len(members) > MOST_FILES:
        raise BadArchive(f"It holds {len(members):,} files; a model has at most {MOST_FILES:,}.")
    unpacked, packed, seen = 0, 0, set()
    for member in members:
        _check_name(member)
        unpacked += member.file_size
        packed += member.compress_size
        if member.filename in seen:
            raise BadArchive(f"It holds {member.filename[:80]} twice.")
        seen.add(member.filename)
    if unpacked > MOST_BYTES:
        raise BadArchive(f"Unpacked, it is larger than {MOST_BYTES // 1024**3} GB.")
    if unpacked > max(packed * _MOST_RATIO, _RATIO_FROM):
        raise BadArchive("It unpacks to far more than it is: no model is packed like that.")
    return [member for member in members if not member.is_dir()]


def unpack(path: Path, target: Path) -> None:
    """Writes the files of the archive below `target`, readable by all. Raises BadArchive."""
    target.mkdir(mode=0o755, parents=True)
    try:
        with zipfile.ZipFile(path) as archive:
            for member in checked_members(archive):
                _write(archive, member, target)
    except OSError as error:
        raise BadArchive(f"It cannot be unpacked: {error.strerror or error}.") from None
    except _DAMAGES as error:
        raise BadArchive(f"It is damaged: {error}") from None
    for folder in [target, *target.rglob("*")]:
        folder.chmod(0o755 if folder.is_dir() else 0o644)


def root_of(names: Iterable[str], mark: str) -> str | None:
    """The folder, with its slash, that holds `mark` nearest to the top; None where none does."""
    found = [name for name in names if posixpath.basename(name) == mark]
    if not found:
        return None
    nearest = min(found, key=lambda name: (name.count("/"), name))
    return nearest[: -len(mark)]


def model_folder(folder: Path, format_: str) -> Path:
    """Where in an unpacked archive the model lies. Raises BadArchive where there is none."""
    mark = MARKS[format_]
    names = [path.relative_to(folder).as_posix() for path in folder.rglob(mark) if path.is_file()]
    root = root_of(names, mark)
    if root is None:
        raise BadArchive(f"It holds no {mark}.")
    return folder / root


def _check_name(member: zipfile.ZipInfo) -> None:
    name = member.filename
    shown = name[:80]
    parts = name.rstrip("/").split("/")
    if name.startswith("/") or "\\" in name or ":" in parts[0] or "\x00" in name:
        raise BadArchive(f"It holds {shown}, which is no path below the archive.")
    if ".." in parts or "." in parts or "" in parts:
        raise BadArchive(f"It holds {shown}, which leads out of the archive.")
    if len(name) > _LONGEST_NAME:
        raise BadArchive(f"It holds a name of {len(name):,} characters.")
    kind = stat.S_IFMT(member.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise BadArchive(f"It holds {shown}, which is a link or a device; pack plain files.")
    if member.flag_bits & 0x1:
        raise BadArchive(f"It holds {shown}, which is encrypted.")


def _write(archive: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path) -> None:
    """One file; the sizes in an archive are claims, so the bound is kept while it is written."""
    path = target / member.filename
    path.parent.mkdir(parents=True, exist_ok=True)
    with archive.open(member) as source, path.open("xb") as file:
        left = member.file_size
        while chunk := source.read(min(_CHUNK_BYTES, left + 1)):
            left -= len(chunk)
            if left < 0:
                raise BadArchive(f"{member.filename[:80]} is longer than the archive says.")
            file.write(chunk)

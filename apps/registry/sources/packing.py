"""Makes one file of a folder: the same bytes for the same content, whatever the order and time."""

import zipfile
from collections.abc import Iterator
from pathlib import Path

from apps.registry.sources.errors import SourceFailed

_EPOCH = (1980, 1, 1, 0, 0, 0)
_CHUNK_BYTES = 1024**2


def pack(folder: Path, target: Path) -> Path:
    """A zip of the files below `folder`, sorted, uncompressed, without times and rights."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    if not files:
        raise SourceFailed("The folder is empty; check the path.")
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for path in files:
            entry = zipfile.ZipInfo(path.relative_to(folder).as_posix(), _EPOCH)
            entry.external_attr = 0o644 << 16
            with path.open("rb") as source, archive.open(entry, "w", force_zip64=True) as file:
                while chunk := source.read(_CHUNK_BYTES):
                    file.write(chunk)
    return target


def chunks_of(path: Path) -> Iterator[bytes]:
    """The content of a file, piece by piece."""
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            yield chunk


def check_archive(path: Path) -> None:
    """Raises SourceFailed where an archive holds names that lead out of it."""
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            parts = name.replace("\\", "/").split("/")
            if name.startswith(("/", "\\")) or ".." in parts or ":" in parts[0]:
                raise SourceFailed(
                    f"The archive holds {name!r}, a path that leads out of it; it is refused. "
                    "Make the archive anew, from within the folder."
                )

"""Models that come as one archive, unpacked once under VAR_DIR/unpacked before they are served."""

import os
import shutil
import tempfile
from pathlib import Path

from django.conf import settings

from apps.core.errors import Invalid
from apps.registry import storage
from apps.serving.archives import MARKS, BadArchive, model_folder, unpack

_SPARE_BYTES = 200 * 1024**2


def folder() -> Path:
    """Where unpacked archives lie; others may enter it, not list it."""
    path: Path = settings.VAR_DIR / "unpacked"
    path.mkdir(mode=0o711, parents=True, exist_ok=True)
    return path


def place_of(sha256: str, format_: str) -> Path:
    """What a model server is given of a stored file: the file, or the folder in its archive.

    Unpacked beside its place and renamed into it, so that nothing half-made is ever seen. Raises
    Invalid where the archive is refused or the disk is full.
    """
    stored = storage.path_of(sha256)
    if format_ not in MARKS:
        return stored
    target = folder() / sha256
    try:
        if not target.exists():
            _unpack(stored, target)
        return model_folder(target, format_)
    except BadArchive as error:
        raise Invalid(f"The archive cannot be used. {error}") from None


def forget(kept: set[str], *, before: float) -> int:
    """Removes what is unpacked of files other than `kept` and older than `before`; how many."""
    removed = 0
    for path in folder().iterdir():
        if path.name not in kept and path.stat().st_mtime < before:
            shutil.rmtree(path, ignore_errors=True)
            removed += 1
    return removed


def _unpack(stored: Path, target: Path) -> None:
    if shutil.disk_usage(target.parent).free < _SPARE_BYTES:
        raise Invalid("The disk of this installation is almost full; nothing can be unpacked now.")
    work = Path(tempfile.mkdtemp(".partial", f"{target.name}.", target.parent))
    try:
        unpack(stored, work / "files")
        try:
            os.rename(work / "files", target)
        except OSError:
            if not target.exists():  # else somebody else was quicker
                raise
    finally:
        shutil.rmtree(work, ignore_errors=True)

"""Keeps files under their SHA-256 in VAR_DIR/artifacts; what is stored never changes."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from django.conf import settings

from apps.core.errors import Invalid

_SPARE_BYTES = 200 * 1024**2
_DIGEST_LENGTH = 64


@dataclass(frozen=True, slots=True)
class Stored:
    """A file in the store."""

    sha256: str
    size: int
    path: Path


def path_of(sha256: str) -> Path:
    """Where the file of this digest lies."""
    folder: Path = settings.VAR_DIR / "artifacts"
    return folder / sha256[:2] / sha256


def digest_in(path: str) -> str:
    """The digest of the file that lies at a path of the store, or was unpacked there."""
    return next(part for part in reversed(Path(path).parts) if len(part) == _DIGEST_LENGTH)


def store(chunks: Iterable[bytes]) -> Stored:
    """Writes the chunks to the store. Raises Invalid where they are too many or the disk is full.

    Directories may be entered, not listed, and files read by others: model servers run as users
    of their own and know the one digest that is theirs.
    """
    folder: Path = settings.VAR_DIR / "artifacts"
    folder.mkdir(mode=0o711, parents=True, exist_ok=True)
    if shutil.disk_usage(folder).free < _SPARE_BYTES:
        raise Invalid("The disk of this installation is almost full; nothing can be stored now.")
    descriptor, name = tempfile.mkstemp(dir=folder, prefix="incoming-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            sha256, size = _copy(chunks, file)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o644)
        target = path_of(sha256)
        target.parent.mkdir(mode=0o711, exist_ok=True)
        os.replace(name, target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return Stored(sha256, size, target)


def _copy(chunks: Iterable[bytes], file: BinaryIO) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    for chunk in chunks:
        size += len(chunk)
        if size > settings.UPLOAD_MAX_BYTES:
            limit = settings.UPLOAD_MAX_BYTES // 1024**2
            raise Invalid(f"The file is larger than {limit:,} MB, the limit of this installation.")
        digest.update(chunk)
        file.write(chunk)
    if not size:
        raise Invalid("The file is empty.")
    return digest.hexdigest(), size


def intact(sha256: str) -> bool:
    """True where the stored file still has its digest."""
    digest = hashlib.sha256()
    try:
        with path_of(sha256).open("rb") as file:
            while chunk := file.read(1024**2):
                digest.update(chunk)
    except FileNotFoundError:
        return False
    return digest.hexdigest() == sha256

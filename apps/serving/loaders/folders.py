"""Models that come as an archive of several files."""

import os
import tempfile
from pathlib import Path

from apps.serving.archives import MARKS, BadArchive, model_folder, unpack
from apps.serving.errors import LoadError
from apps.serving.spec import ServerSpec


def folder_of(spec: ServerSpec) -> Path:
    """The model's folder: given as such, or unpacked here from an archive that was fetched."""
    path, mark = Path(spec.artifact), MARKS[spec.format]
    if path.is_dir():
        if not (path / mark).is_file():
            raise LoadError(f"The folder holds no {mark}; pack the whole model as one zip archive")
        return path
    beside = path.parent if os.access(path.parent, os.W_OK) else None
    target = Path(tempfile.mkdtemp(prefix="model-", dir=beside)) / "files"
    try:
        unpack(path, target)
        return model_folder(target, spec.format)
    except BadArchive as error:
        raise LoadError(f"The archive of the model cannot be used. {error}") from None

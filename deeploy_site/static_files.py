"""Static files under the hash of their content, compressed once."""

from typing import Any

import brotli
from whitenoise.compress import Compressor
from whitenoise.storage import CompressedManifestStaticFilesStorage

_QUALITY = 9


class QuickCompressor(Compressor):  # type: ignore[misc]
    """Stops short of the last two qualities of Brotli, which take eighteen times as long for a
    tenth of the size: a first start waits for this."""

    @staticmethod
    def compress_brotli(data: bytes) -> bytes:
        compressed: bytes = brotli.compress(data, quality=_QUALITY)
        return compressed


class StaticFiles(CompressedManifestStaticFilesStorage):  # type: ignore[misc]
    def create_compressor(self, **kwargs: Any) -> Compressor:
        return QuickCompressor(**kwargs)

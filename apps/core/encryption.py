"""Secrets at rest: AES-256-GCM under one key of this installation.

A sealed value is a version byte, 12 random bytes of nonce, and the ciphertext with its tag
(NIST SP 800-38D). The key comes from ENCRYPTION_KEY, or lies in VAR_DIR/secrets.
"""

import hashlib
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings

_VERSION = b"\x01"
_NONCE_BYTES = 12


class Undecipherable(Exception):
    """The value was sealed under another key, or altered."""


def encrypt(text: str, *, purpose: str) -> bytes:
    """Seals `text`; only the same `purpose` opens it again, so that sealed values cannot be
    moved from one column to another."""
    nonce = os.urandom(_NONCE_BYTES)
    return _VERSION + nonce + _cipher().encrypt(nonce, text.encode(), purpose.encode())


def decrypt(sealed: bytes, *, purpose: str) -> str:
    """The text in a sealed value. Raises Undecipherable."""
    version, nonce, body = sealed[:1], sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
    try:
        if version != _VERSION:
            raise ValueError
        return _cipher().decrypt(bytes(nonce), bytes(body), purpose.encode()).decode()
    except (InvalidTag, ValueError):
        raise Undecipherable(
            "The secret cannot be read with this installation's key; enter it again, or restore "
            "VAR_DIR/secrets from the backup that belongs to this database."
        ) from None


def _cipher() -> AESGCM:
    return AESGCM(hashlib.sha256(settings.ENCRYPTION_KEY.encode()).digest())

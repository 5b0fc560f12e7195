"""Signed checkpoints: what all chains ended with at one time, kept here and elsewhere."""

import base64
import json
import os
from datetime import datetime
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)
from django.conf import settings
from django.db import transaction

from apps.audit import services
from apps.audit.actor import SYSTEM
from apps.audit.chain import microseconds
from apps.audit.models import Checkpoint, EventHead, Writer
from apps.core.canonical import canonical
from apps.core.ids import uuid7


def create_checkpoint(*, now: datetime) -> Checkpoint:
    """Signs all chain heads with Ed25519, records an event, and writes a copy to VAR_DIR."""
    key = _key()
    with transaction.atomic():
        head = EventHead.objects.select_for_update().filter(id=1).first()
        content: dict[str, Any] = {
            "at": microseconds(now),
            "events": {
                "number": head.number if head else 0,
                "hash": bytes(head.hash).hex() if head else "",
            },
            "writers": [
                {"writer": str(w.id), "number": w.number, "hash": bytes(w.hash).hex()}
                for w in Writer.objects.order_by("id")
            ],
        }
        text = canonical(content).decode()
        checkpoint = Checkpoint.objects.create(
            id=uuid7(),
            at=now,
            content=text,
            public_key=key.public_key().public_bytes_raw(),
            signature=key.sign(text.encode()),
        )
        services.record(
            name="checkpoint.created",
            by=SYSTEM,
            object_type="checkpoint",
            object_id=checkpoint.id,
            object_name=f"Checkpoint of {now:%Y-%m-%d %H:%M} UTC",
            data={"events": content["events"]["number"], "writers": len(content["writers"])},
            at=now,
        )
    _write_copy(checkpoint)
    return checkpoint


def sign(content: bytes) -> tuple[bytes, bytes]:
    """The public key of this installation, and its Ed25519 signature of `content`."""
    key = _key()
    return key.public_key().public_bytes_raw(), key.sign(content)


def public_key() -> bytes:
    """What others check our signatures with."""
    return _key().public_key().public_bytes_raw()


def signature_holds(checkpoint: Checkpoint) -> bool:
    """True where the row's signature is ours and fits its content."""
    public = bytes(checkpoint.public_key)
    return public == _key().public_key().public_bytes_raw() and _holds(
        public, bytes(checkpoint.signature), checkpoint.content
    )


def copy_holds(copy: dict[str, Any]) -> bool:
    """The same for a copy in a file."""
    return _holds(
        base64.b64decode(copy["publicKey"]), base64.b64decode(copy["signature"]), copy["content"]
    )


def _holds(public: bytes, signature: bytes, content: str) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, content.encode())
    except (InvalidSignature, ValueError):
        return False
    return True


def _write_copy(checkpoint: Checkpoint) -> None:
    folder = settings.VAR_DIR / "checkpoints"
    folder.mkdir(parents=True, exist_ok=True)
    copy = {
        "id": str(checkpoint.id),
        "content": checkpoint.content,
        "publicKey": base64.b64encode(bytes(checkpoint.public_key)).decode(),
        "signature": base64.b64encode(bytes(checkpoint.signature)).decode(),
    }
    path = folder / f"{checkpoint.at:%Y%m%dT%H%M%S}-{checkpoint.id}.json"
    path.write_text(json.dumps(copy, indent=1))


def _key() -> Ed25519PrivateKey:
    """The signing key in VAR_DIR/secrets, made on first use."""
    path = settings.VAR_DIR / "secrets" / "checkpoint-key"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(Ed25519PrivateKey.generate().private_bytes_raw())
    return Ed25519PrivateKey.from_private_bytes(path.read_bytes())

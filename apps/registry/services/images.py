"""Versions that are container images of their own; see `apps.deployments.custom` for their run."""

import re
from typing import Any

from apps.accounts.models import User
from apps.core.errors import Invalid
from apps.registry.models import Credential, Model, ModelVersion
from apps.registry.services.intake import Upload, completed, take_sample
from apps.registry.services.versions import write_version
from apps.serving.detect import Detected

CREDENTIAL_KINDS = (Credential.Kind.REGISTRY, Credential.Kind.PASSWORD, Credential.Kind.TOKEN)
DEFAULT_PORT = 8080
_FOUND = Detected(framework=ModelVersion.Framework.CUSTOM, format="image")

# The grammar of github.com/distribution/reference: [host[:port]/]path[:tag][@digest].
_HOST = r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::[0-9]{1,5})?"
_PART = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_REFERENCE = re.compile(
    rf"(?:{_HOST}/)?{_PART}(?:/{_PART})*(?::[\w][\w.-]{{0,127}})?(?:@sha256:[0-9a-f]{{64}})?"
)


def add_image_version(
    *,
    model: Model,
    image: str,
    by: User,
    port: int = DEFAULT_PORT,
    readiness_path: str = "",
    credential: Credential | None = None,
    git: dict[str, Any] | None = None,
    metadata: dict[str, Any] | None = None,
    sample: Upload | None = None,
    target: str = "",
    model_card: str = "",
    data_card: str = "",
    notes: str = "",
) -> ModelVersion:
    """The next version of `model`: an image that speaks V1 or V2 on `port`.

    The image is pulled when a revision starts, and the revision keeps the digest that it ran.
    `git` says which commit named it, where one did. Raises Invalid where reference, port, path or
    credential cannot be right.
    """
    source = {
        "kind": "image",
        "image": checked_reference(image),
        "port": port,
        "readinessPath": readiness_path,
    }
    if git:
        source["git"] = git
    _check(port, readiness_path, credential, model)
    reference = take_sample(model.workspace, sample, target) if sample else None
    return write_version(
        model=model,
        found=_FOUND,
        source=source,
        credential=credential,
        metadata=completed(metadata or {}, _FOUND, reference[1] if reference else None),
        reference=reference,
        model_card=model_card,
        data_card=data_card,
        notes=notes,
        by=by,
    )


def checked_reference(image: str) -> str:
    """The image's name as an engine takes it. Raises Invalid for what is none."""
    image = image.strip()
    if len(image) > 255 or not _REFERENCE.fullmatch(image):
        message = (
            "This is no name of an image. It reads like registry.example.com/team/model:1.4: "
            "small letters, and a tag or a digest at the end."
        )
        raise Invalid(message, [{"field": "image", "message": message}])
    return image


def _check(port: int, path: str, credential: Credential | None, model: Model) -> None:
    faults = {}
    if not 1 <= port <= 65535:
        faults["port"] = "A port is a number from 1 to 65535."
    if path and (not path.startswith("/") or len(path) > 200 or any(c.isspace() for c in path)):
        faults["readinessPath"] = "A path begins with / and has no spaces, such as /health."
    if credential and credential.workspace_id != model.workspace_id:
        faults["credential"] = "There is no such credential in this workspace."
    elif credential and credential.kind not in CREDENTIAL_KINDS:
        faults["credential"] = "A registry takes a user name and password, or a token."
    if faults:
        errors = [{"field": field, "message": text} for field, text in faults.items()]
        raise Invalid(errors[0]["message"], errors)

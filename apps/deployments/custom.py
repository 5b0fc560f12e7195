"""Custom images: what a container gets, and what its server turned out to speak."""

import json
from collections.abc import Callable
from typing import Any

from apps.core.encryption import Undecipherable, decrypt
from apps.deployments import signatures
from apps.deployments.backends.base import Backend, BackendError, CustomImage, RegistryLogin
from apps.deployments.models import Component, EnvironmentVariable, Replica
from apps.registry.models import Credential, ModelVersion

VARIABLE, CREDENTIAL = "variable", "credential"
_PORT = 8080


def image_of(component: Component, version: ModelVersion) -> CustomImage | None:
    """The container of a custom version, pinned to the digest that its first replica ran.

    Raises BackendError where a variable or the registry's credential cannot be read.
    """
    if version.framework != ModelVersion.Framework.CUSTOM:
        return None
    source, config = version.source, component.config
    try:
        return CustomImage(
            reference=config.get("digest") or source["image"],
            port=int(source.get("port") or _PORT),
            args=tuple(config.get("args", ())),
            variables=variables_of(component, config.get("variableIds", [])),
            login=_login(version.credential) if version.credential else None,
        )
    except Undecipherable as error:
        raise BackendError(str(error)) from error


def note_signature(replica: Replica, backend_for: Callable[[str], Backend]) -> dict[str, Any]:
    """Asks a ready server for its signature and keeps it, a custom image's with the digest.

    Raises Speechless, Unreachable or BackendError.
    """
    component, version = replica.component, replica.component.model_version
    if version is None or version.framework != ModelVersion.Framework.CUSTOM:
        signature = component.signature = signatures.of_ours(replica.address)
        component.save(update_fields=["signature"])
        return signature
    name = str(version.metadata.get("servedModelName") or "")
    signature = signatures.detect(replica.address, name)
    digest = backend_for(component.revision.backend).image(replica.handle)
    component.signature, component.config = signature, component.config | {"digest": digest}
    component.save(update_fields=["signature", "config"])
    return signature


def variables_of(component: Component, ids: list[str]) -> dict[str, str]:
    workspace = component.revision.deployment.workspace_id
    rows = EnvironmentVariable.objects.filter(workspace_id=workspace, id__in=ids)
    return {row.key: decrypt(bytes(row.value), purpose=VARIABLE) for row in rows}


def _login(credential: Credential) -> RegistryLogin:
    """User name and password of a registry; a bare token is a password of nobody in particular."""
    secret = json.loads(decrypt(bytes(credential.secret), purpose=CREDENTIAL))
    return RegistryLogin(
        username=secret.get("username", "token"),
        password=secret.get("password") or secret.get("token", ""),
    )

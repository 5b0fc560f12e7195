"""What the gateway and the controller know of an external endpoint, its secret opened."""

import json
from dataclasses import dataclass, field
from typing import Any

from apps.core.encryption import Undecipherable, decrypt
from apps.deployments.custom import CREDENTIAL
from apps.registry.models import Credential, ModelVersion

MAPPINGS = {
    "v1": "instances and predictions (V1)",
    "v2": "tensors (V2, Open Inference Protocol)",
    "as-is": "as it is",
}
_DEFAULTS: dict[str, Any] = {"mapping": "v1", "timeoutSeconds": 30, "maxAnswerMb": 10}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A URL elsewhere and how it is called.

    `mapping` says how instances become a body: V1, V2, or `as-is`, where the caller's document goes
    there and its answer comes back unchanged. `authentication` is empty or a kind of credential,
    with its fields in `secret`; `fault` says why that cannot be read.
    """

    version_id: str
    url: str
    mapping: str
    timeout_seconds: float
    max_answer_bytes: int
    health_url: str = ""
    authentication: str = ""
    secret: dict[str, str] = field(default_factory=dict, repr=False)
    fault: str = ""

    @property
    def is_as_is(self) -> bool:
        return self.mapping == "as-is"

    @property
    def signature(self) -> dict[str, Any]:
        """How `forwarding` writes instances and reads outputs for this mapping."""
        return {"protocol": self.mapping, "name": "model", "inputs": [], "outputs": []}


def endpoint_of(version: ModelVersion) -> Endpoint:
    """The endpoint of a version whose source is one."""
    source = _DEFAULTS | version.source
    nothing: tuple[str, dict[str, str], str] = ("", {}, "")
    credential = version.credential
    kind, secret, fault = _opened(credential) if credential else nothing
    return Endpoint(
        version_id=str(version.id),
        url=source["url"],
        mapping=source["mapping"],
        timeout_seconds=source["timeoutSeconds"],
        max_answer_bytes=source["maxAnswerMb"] * 1024**2,
        health_url=source.get("healthUrl", ""),
        authentication=kind,
        secret=secret,
        fault=fault,
    )


def _opened(credential: Credential) -> tuple[str, dict[str, str], str]:
    try:
        secret = json.loads(decrypt(bytes(credential.secret), purpose=CREDENTIAL))
    except Undecipherable as error:
        return credential.kind, {}, str(error)
    return credential.kind, secret, ""

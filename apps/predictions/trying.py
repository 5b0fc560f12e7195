"""Calls the data plane on behalf of a signed-in person, as any other caller would."""

import http.client
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings

from apps.accounts.credentials import sign_user_call
from apps.accounts.models import User
from apps.deployments.models import Deployment


@dataclass(frozen=True, slots=True)
class Answer:
    """What the gateway said."""

    status: int
    body: dict[str, Any]

    @property
    def is_good(self) -> bool:
        return self.status == 200


def try_instance(
    *, deployment: Deployment, user: User, instance: Any, custom_id: str = ""
) -> Answer:
    """Sends one instance through the gateway; recorded like every other prediction."""
    address = urlsplit(settings.GATEWAY_URL)
    path = f"/workspaces/{deployment.workspace_id}/deployments/{deployment.id}/predict"
    body: dict[str, Any] = {"instances": [instance]}
    if custom_id:
        body["customId"] = custom_id
    headers = {
        "Authorization": f"Bearer {sign_user_call(user.id, deployment.id)}",
        "Content-Type": "application/json",
    }
    kind = http.client.HTTPSConnection if address.scheme == "https" else http.client.HTTPConnection
    connection = kind(address.hostname or "", address.port, timeout=60)
    try:
        connection.request("POST", path, json.dumps(body), headers)
        answer = connection.getresponse()
        return Answer(answer.status, json.loads(answer.read()))
    except (OSError, http.client.HTTPException, ValueError) as error:
        return Answer(503, {"message": f"The gateway cannot be reached: {error}"})
    finally:
        connection.close()

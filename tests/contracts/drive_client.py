"""Runs in the official client's environment: drives it against a server, and prints what it got.

Its one argument is JSON: base, workspace, deployment, accessKey, secretKey, token, case.
"""

import json
import sys
from typing import Any

from deeploy import Client


def client(given: dict[str, Any], **credentials: str) -> Any:
    """The client insists on TLS at api.<host>; its address is replaced once it is made."""
    made = Client(host="127.0.0.1", workspace_id=given["workspace"], **credentials)
    service = made._Client__deeploy_service
    service._DeeployService__host = given["base"]
    service._authentication.token_url = given["base"]
    return made


def main() -> None:
    given = json.loads(sys.argv[1])
    deployment = given["deployment"]
    person = client(given, access_key=given["accessKey"], secret_key=given["secretKey"])
    program = client(given, deployment_token=given["token"])
    body = {"instances": [given["case"]]}
    answers = [person.predict(deployment, body), program.predict(deployment, body)]
    filters = {"limit": 5, "sort": "createdAt:asc"}
    found = {"prediction_class": "in:good,bad", "custom_id": "eq:A-1", "status": "eq:success"}
    logs = [
        [log.model_dump() for log in each.get_prediction_logs(deployment, filters | found)]
        for each in (person, program)
    ]
    one = {"id": f"eq:{answers[0]['predictionLogIds'][0]}"}
    requests = person.get_request_logs(
        deployment, filters | {"status_code": "eq:200"}, include_raw_body=True
    )
    try:
        person.get_prediction_logs(deployment, {"evaluation": "eq:loved"})
        refused = False
    except Exception:
        refused = True
    changed = person.update_deployment_description(deployment, {"description": "By the client"})
    result = {
        "answers": answers,
        "logs": logs,
        "one": [log.id for log in person.get_prediction_logs(deployment, one)],
        "requests": [log.model_dump() for log in requests],
        "refused": refused,
        "changed": changed if isinstance(changed, dict) else changed.model_dump(),
    }
    json.dump(result, sys.stdout, default=str)


if __name__ == "__main__":
    main()

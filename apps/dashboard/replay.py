"""Sends held-out applications through the gateway, as a branch would."""

import csv
import http.client
import json
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

_BETWEEN_TRIES_SECONDS = 1.0
_EXPLAINED_EVERY = 5


def replay(
    *, base_url: str, demo: dict[str, Any], holdout: Path, rows: int, patience_seconds: float = 120
) -> int:
    """Predicts `rows` held-out rows with each demo deployment, explaining every fifth; returns how
    many were answered.

    Waits while a deployment is still starting, at most `patience_seconds` in all.
    """
    features = {
        feature: type(value)
        for feature, value in demo["deployments"][0]["exampleInput"]["instances"][0].items()
    }
    with holdout.open(newline="") as file:
        cases = [
            {name: kind(row[name]) for name, kind in features.items()}
            for row in list(csv.DictReader(file))[:rows]
        ]
    deadline = time.monotonic() + patience_seconds
    address = urlsplit(base_url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=60)
    answered = 0
    for deployment in demo["deployments"]:
        place = f"/workspaces/{demo['workspaceId']}/deployments/{deployment['id']}"
        headers = {
            "Authorization": f"Bearer {deployment['token']}",
            "Content-Type": "application/json",
        }
        for number, case in enumerate(cases):
            body = json.dumps({"instances": [case], "customId": f"application-{number + 1:03}"})
            act = "predict" if number % _EXPLAINED_EVERY else "explain"
            while not _sent(connection, f"{place}/{act}", body, headers):
                if time.monotonic() > deadline:
                    return answered
                time.sleep(_BETWEEN_TRIES_SECONDS)
            answered += 1
    connection.close()
    return answered


def _sent(
    connection: http.client.HTTPConnection, path: str, body: str, headers: dict[str, str]
) -> bool:
    try:
        connection.request("POST", path, body, headers)
        answer = connection.getresponse()
        answer.read()
    except (OSError, http.client.HTTPException):
        connection.close()
        return False
    return answer.status == 200

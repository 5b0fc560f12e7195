"""Sends held-out cases through the gateway, as a branch or a payment system would."""

import csv
import http.client
import json
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

_BETWEEN_TRIES_SECONDS = 1.0
_Case = dict[str, Any]


def replay(
    *, base_url: str, demo: dict[str, Any], folder: Path, rows: int, patience_seconds: float = 120
) -> int:
    """Predicts `rows` held-out rows with each demo deployment, explaining some; returns how many
    were answered. `folder` is where the models were trained.

    Waits while a deployment is still starting, at most `patience_seconds` in all.
    """
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
        for number, case in enumerate(cases(deployment, folder, rows)):
            custom_id = f"{deployment['case']}-{number + 1:03}"
            body = json.dumps({"instances": [case], "customId": custom_id})
            act = "predict" if number % deployment["explainedEvery"] else "explain"
            while not _sent(connection, f"{place}/{act}", body, headers):
                if time.monotonic() > deadline:
                    return answered
                time.sleep(_BETWEEN_TRIES_SECONDS)
            answered += 1
    connection.close()
    return answered


def cases(deployment: dict[str, Any], folder: Path, rows: int) -> list[_Case]:
    """Held-out rows, each value of the type that the example has."""
    example = deployment["exampleInput"]["instances"][0]
    read = {
        name: _true if isinstance(value, bool) else type(value) for name, value in example.items()
    }
    with (folder / deployment["holdout"]).open(newline="") as file:
        held_out = list(csv.DictReader(file))[:rows]
    return [{name: kind(row[name]) for name, kind in read.items()} for row in held_out]


def _true(text: str) -> bool:
    return text == "True"


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

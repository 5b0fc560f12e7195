"""Runs in the official client's environment: evaluates, uploads actuals, reads both back.

Its one argument is JSON: base, workspace, deployment, accessKey, secretKey, token, narrow, ids,
unknown.
"""

import json
import sys
from typing import Any

from drive_client import client

FILTERS = {
    "agreed": {"evaluation": "eq:agreed"},
    "disagreed": {"evaluation": "eq:disagreed"},
    "either": {"evaluation": "in:agreed,disagreed"},
    "actual": {"actual": "eq:available"},
    "class": {"prediction_class": "in:good,bad"},
    "success": {"status": "eq:success"},
    "endpoint": {"endpoint_type": "eq:predict"},
    "case": {"custom_id": "eq:A-1"},
    "paged": {"limit": 1, "offset": 1, "sort": "createdAt:asc"},
    "future": {"start": 4_000_000_000_000},
    "past": {"end": 4_000_000_000_000},
}


def refusal(act: Any, *given: Any) -> str:
    try:
        act(*given)
    except Exception as error:
        return str(error)
    return ""


def main() -> None:
    given = json.loads(sys.argv[1])
    deployment, (first, second, third) = given["deployment"], given["ids"]
    person = client(given, access_key=given["accessKey"], secret_key=given["secretKey"])
    program = client(given, deployment_token=given["token"])
    narrow = client(given, deployment_token=given["narrow"])
    disagrees = {
        "agree": False,
        "desired_output": {"predictions": ["good"]},
        "comment": "Income was misread",
    }
    evaluations = [
        person.evaluate(deployment, first, {"agree": True}),
        program.evaluate(deployment, first, disagrees),
        person.evaluate(deployment, second, disagrees),
    ]
    truth = {"predictions": [True]}
    actuals = program.upload_actuals(
        deployment,
        {
            "prediction_ids": [first, third, given["unknown"]],
            "actual_values": [truth, truth, truth],
        },
    )
    again = person.upload_actuals(
        deployment, {"prediction_ids": [first], "actual_values": [{"predictions": ["good"]}]}
    )
    found = {
        name: [log.id for log in person.get_prediction_logs(deployment, options)]
        for name, options in FILTERS.items()
    }
    for name, key, value in (("id", "id", first), ("request", "request_log_id", given["request"])):
        logs = program.get_prediction_logs(deployment, {key: f"eq:{value}"})
        found[name] = [log.id for log in logs]
    result = {
        "evaluations": [
            each if isinstance(each, dict) else each.model_dump() for each in evaluations
        ],
        "actuals": [each if isinstance(each, dict) else each.model_dump() for each in actuals],
        "again": [each if isinstance(each, dict) else each.model_dump() for each in again],
        "found": found,
        "log": person.get_prediction_logs(deployment, {"id": f"eq:{first}"})[0].model_dump(),
        "twice": refusal(person.evaluate, deployment, first, {"agree": True}),
        "narrow": refusal(narrow.evaluate, deployment, third, {"agree": True}),
    }
    json.dump(result, sys.stdout, default=str)


if __name__ == "__main__":
    main()

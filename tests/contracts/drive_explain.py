"""Runs in the official client's environment: has a case explained, and prints what it got.

Its one argument is that of `drive_client`.
"""

import json
import sys

from deeploy.models.inference_options import ExplainInferenceOptions
from drive_client import client


def main() -> None:
    given = json.loads(sys.argv[1])
    person = client(given, access_key=given["accessKey"], secret_key=given["secretKey"])
    program = client(given, deployment_token=given["token"])
    body = {"instances": [given["case"], given["case"]]}
    answers = [
        person.explain(given["deployment"], body),
        program.explain(
            given["deployment"], body, explain_options=ExplainInferenceOptions(image=False)
        ),
    ]
    logs = person.get_prediction_logs(given["deployment"], {"limit": 10})
    json.dump({"answers": answers, "logs": [log.model_dump() for log in logs]}, sys.stdout,
              default=str)  # fmt: skip


if __name__ == "__main__":
    main()

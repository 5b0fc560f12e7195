"""Runs in the official client's environment: has a case explained, and prints what it got.

Its one argument is that of `drive_client`.
"""

import base64
import json
import sys

from deeploy.models.inference_options import ClientOptions, ExplainInferenceOptions
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
    picture = ExplainInferenceOptions(image=True)
    drawn = person.explain(given["deployment"], body, explain_options=picture)
    streamed = program.explain(
        given["deployment"], body, explain_options=picture,
        client_options=ClientOptions(stream=True),
    )  # fmt: skip
    pictures = [drawn.pop("image"), base64.b64encode(b"".join(streamed)).decode()]
    answers.append(drawn)
    logs = person.get_prediction_logs(given["deployment"], {"limit": 10})
    found = {"answers": answers, "pictures": pictures, "logs": [log.model_dump() for log in logs]}
    json.dump(found, sys.stdout, default=str)


if __name__ == "__main__":
    main()

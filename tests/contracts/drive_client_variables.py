"""Runs in the official client's environment: prints which variables a deployment's parts get.

Its one argument is JSON: base, workspace, accessKey, secretKey, deployment.
"""

import json
import sys

from deeploy.enums import Artifact
from drive_client_deployments import client


def main() -> None:
    given = json.loads(sys.argv[1])
    made = client(given)
    ask = made.get_environment_variable_ids_for_deployment_artifact
    parts = {"model": Artifact.MODEL, "transformer": Artifact.TRANSFORMER, "explainer": "explainer"}
    json.dump({name: ask(given["deployment"], part) for name, part in parts.items()}, sys.stdout)


if __name__ == "__main__":
    main()

"""Runs in the official client's environment: makes deployments of every kind, and prints them.

Its one argument is JSON: base, workspace, accessKey, secretKey, blob, commit, endpoint.
"""

import json
import sys
from typing import Any

from deeploy import Client
from deeploy.enums import Artifact, ExternalUrlAuthenticationMethod, ModelType, TransformerType
from deeploy.models import (
    CreateDeployment,
    CreateEnvironmentVariable,
    CreateExternalDeployment,
    CreateRegistrationDeployment,
)


def client(given: dict[str, Any]) -> Any:
    """The client insists on TLS at api.<host>; its address is replaced once it is made."""
    made = Client(
        host="127.0.0.1",
        workspace_id=given["workspace"],
        access_key=given["accessKey"],
        secret_key=given["secretKey"],
    )
    service = made._Client__deeploy_service
    service._DeeployService__host = given["base"]
    service._authentication.token_url = given["base"]
    return made


def managed(made: Any, **options: Any) -> Any:
    return made.create_deployment(CreateDeployment(**options))


def refusal(act: Any, *given: Any, **options: Any) -> str:
    try:
        act(*given, **options)
    except Exception as error:
        return str(error)
    return ""


def main() -> None:
    given = json.loads(sys.argv[1])
    made = client(given)
    repositories = made.get_repositories()
    variable = made.create_environment_variable(
        CreateEnvironmentVariable(name="Region", key="REGION", value="eu")
    )
    from_git = {
        "repository_id": repositories[0].id,
        "branch_name": "main",
        "contract_path": "risk",
        "model_type": ModelType.SKLEARN,
    }
    image = {"reference": {"docker": {"image": "registry.example/risk:1", "port": 9000}}}
    units = {"reference": {"docker": {"image": "registry.example/units:1", "port": 9001}}}
    metadata = {"features": [{"name": "x"}], "problemType": "classification"}
    deployments = {
        "git": managed(made, name="From Git", commit=given["commit"], **from_git),
        "blob": managed(
            made,
            name="From blob",
            model_type=ModelType.SKLEARN,
            model_reference={"reference": {"blob": {"url": given["blob"]}}},
            metadata=metadata,
            model_card="# Risk",
        ),
        "docker": managed(
            made,
            name="From docker",
            model_type=ModelType.CUSTOM,
            model_reference=image,
            model_args=["--verbose"],
            model_environment_variable_ids=[variable.id],
            transformer_type=TransformerType.CUSTOM,
            transformer_reference=units,
            transformer_args=["--metric"],
            transformer_environment_variable_ids=[variable.id],
            transformer_min_replicas=2,
            transformer_mem_limit=300,
        ),
    }
    external = made.create_external_deployment(
        CreateExternalDeployment(
            name="Elsewhere",
            url=given["endpoint"],
            authentication=ExternalUrlAuthenticationMethod.CUSTOM,
            username="X-Key",
            password="a secret",
            metadata=metadata,
        )
    )
    entry = made.create_registration_deployment(
        CreateRegistrationDeployment(name="Entry", metadata=metadata, data_card="# Data")
    )
    result = {
        "repositories": [each.model_dump() for each in repositories],
        "variable": variable.model_dump(),
        "variables": made.get_all_environment_variables(),
        "deployments": deployments,
        "external": external.model_dump(),
        "entry": entry.model_dump(),
        "idsWhileItWaits": made.get_environment_variable_ids_for_deployment_artifact(
            deployments["docker"]["id"], Artifact.MODEL
        ),
        "explainer": refusal(managed, made, name="E", explainer_type=9, **from_git),
        "temporary": refusal(
            managed, made, name="T", model_s3_temporary_access_key_id="k", **from_git
        ),
        "nothing": refusal(managed, made, name="N", model_type=ModelType.SKLEARN),
    }
    json.dump(result, sys.stdout, default=str)


if __name__ == "__main__":
    main()

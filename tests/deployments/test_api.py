"""The API of deployments: who may, what comes back, and what is refused."""

import base64
from pathlib import Path
from typing import Any

import pytest
import skops.io
from django.test import Client
from sklearn.linear_model import LogisticRegression

from apps.accounts import services as accounts
from apps.accounts.models import User, Workspace
from apps.audit.models import Event
from apps.registry import services as registry
from apps.registry.models import ModelVersion
from apps.registry.services import Upload

# What the official client's Deployment model cannot do without.
REQUIRED = {
    "id": str,
    "name": str,
    "workspaceId": str,
    "deploymentAuthorization": dict,
    "useCaseId": str,
    "status": int,
    "createdAt": str,
    "updatedAt": str,
}


@pytest.fixture
def version(workspace: Workspace, operator: User, tmp_path: Path) -> ModelVersion:
    skops.io.dump(LogisticRegression().fit([[0.0], [1.0]], [0, 1]), tmp_path / "m.skops")
    model = registry.create_model(workspace=workspace, name="Logistic", by=operator)
    upload = Upload("m.skops", [(tmp_path / "m.skops").read_bytes()])
    return registry.add_version(model=model, artifact=upload, by=operator)


class Api:
    """A program with a key pair of `user`."""

    def __init__(self, user: User) -> None:
        pair, secret = accounts.create_key_pair(user=user, name="test")
        code = base64.b64encode(f"{pair.access_key}:{secret}".encode()).decode()
        self.headers = {"authorization": f"Basic {code}"}
        self.client = Client()

    def call(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        answer = self.client.generic(
            method,
            path,
            "" if body is None else __import__("json").dumps(body),
            content_type="application/json",
            headers=self.headers,
        )
        return answer.status_code, answer.json() if answer.content else None


def base(workspace: Workspace) -> str:
    return f"/workspaces/{workspace.id}/deployments"


def create(api: Api, workspace: Workspace, version: ModelVersion, **more: Any) -> tuple[int, Any]:
    body = {"name": "Credit risk", "modelType": 2, "modelVersionId": str(version.id)} | more
    return api.call("POST", base(workspace), body)


def test_a_deployment_is_made_and_read(
    workspace: Workspace, version: ModelVersion, operator: User
) -> None:
    api = Api(operator)
    status, made = create(api, workspace, version)
    assert status == 201
    for key, kind in REQUIRED.items():
        assert isinstance(made[key], kind), key
    assert made["lastVersion"]["number"] == 1
    assert made["status"] == 0
    for path in (
        f"{base(workspace)}/{made['id']}",
        "/workspaces/retail-credit/deployments/credit-risk",
    ):
        assert api.call("GET", path) == (200, made)
    assert api.call("GET", base(workspace)) == (200, [made])


def test_an_update_makes_a_revision(
    workspace: Workspace, version: ModelVersion, operator: User
) -> None:
    api = Api(operator)
    _, made = create(api, workspace, version)
    path = f"{base(workspace)}/{made['id']}"
    status, updated = api.call("PATCH", path, {"modelMemLimit": 512, "explainerType": 0})
    assert status == 200
    assert updated["lastVersion"]["number"] == 2
    assert updated["lastVersion"]["settings"]["memory_mb"] == 512
    status, restored = api.call("POST", f"{path}/revisions/1/restore")
    assert (status, restored["number"]) == (201, 3)
    assert restored["settings"]["memory_mb"] == 2048


def test_the_actor_of_a_program_is_its_key_pair(
    workspace: Workspace, version: ModelVersion, operator: User
) -> None:
    api = Api(operator)
    _, made = create(api, workspace, version)
    assert api.call("DELETE", f"{base(workspace)}/{made['id']}")[0] == 204
    event = Event.objects.get(name="deployment.deleted")
    assert event.actor_kind == "key_pair"
    assert api.call("GET", f"{base(workspace)}/{made['id']}")[0] == 404


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"modelVersionId": "x"}, "modelVersionId"),
        ({"modelType": 3}, "not model type 3"),
        ({"deploymentType": "Sagemaker"}, "Sagemaker is not offered"),
        ({"explainerType": 11}, "explainerType"),
        ({"explainerType": 8}, "into a module and send explainerType 7"),
        ({"explainerType": 4}, "no reference data"),
        ({"explainers": [{"method": "magic"}]}, "There is no method magic; known are anchors"),
        ({"modelMemLimit": 1}, "memory_mb"),
        ({"name": ""}, "name"),
        ({"useCaseId": "01890000-0000-7000-8000-000000000000"}, "no such use case"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(
    body: dict[str, Any],
    message: str,
    workspace: Workspace,
    version: ModelVersion,
    operator: User,
) -> None:
    status, answer = create(Api(operator), workspace, version, **body)
    assert status == 400
    assert answer["statusCode"] == 400
    assert message in answer["message"]


def test_a_name_is_taken_once(workspace: Workspace, version: ModelVersion, operator: User) -> None:
    api = Api(operator)
    create(api, workspace, version)
    status, answer = create(api, workspace, version)
    assert status == 409
    assert "already" in answer["message"]


def test_a_foreign_version_is_like_none(
    other_workspace: Workspace, version: ModelVersion, outsider: User
) -> None:
    status, answer = create(Api(outsider), other_workspace, version)
    assert status == 400
    assert "no such model version" in answer["message"]


def test_strangers_find_nothing_and_readers_may_not_write(
    workspace: Workspace, version: ModelVersion, outsider: User, reviewer: User, auditor: User
) -> None:
    assert create(Api(outsider), workspace, version)[0] == 404
    assert create(Api(reviewer), workspace, version)[0] == 403
    assert create(Api(auditor), workspace, version)[0] == 403
    assert Api(auditor).call("GET", base(workspace)) == (200, [])


def test_without_a_credential_there_is_401_in_json(workspace: Workspace) -> None:
    answer = Client().get(base(workspace))
    assert answer.status_code == 401
    assert answer.json()["statusCode"] == 401
    assert "Basic" in answer.headers["WWW-Authenticate"]


def test_the_schema_names_every_path(operator: User, client_for: Any) -> None:
    text = client_for(operator).get("/api/schema/").content.decode()
    assert "/workspaces/{workspace}/deployments/{deployment}/description" in text


def test_a_list_costs_the_same_for_many(
    workspace: Workspace,
    version: ModelVersion,
    operator: User,
    django_assert_max_num_queries: Any,
) -> None:
    api = Api(operator)
    for number in range(5):
        create(api, workspace, version, name=f"Deployment {number}")
    with django_assert_max_num_queries(12):
        assert len(api.call("GET", base(workspace))[1]) == 5


def test_a_revision_runs_on_the_backend_that_is_asked_for(
    workspace: Workspace, version: ModelVersion, operator: User
) -> None:
    api = Api(operator)
    _, made = create(api, workspace, version, backend="docker")
    assert made["lastVersion"]["backend"] == "docker"
    path = f"{base(workspace)}/{made['id']}"
    assert api.call("PATCH", path, {"note": "x"})[1]["lastVersion"]["backend"] == "docker"
    changed = api.call("PATCH", path, {"backend": "process"})[1]
    assert changed["lastVersion"]["backend"] == "process"
    status, refused = api.call("PATCH", path, {"backend": "mainframe"})
    assert status == 400
    assert "backend" in str(refused["errors"])

"""Environment variables: kept encrypted, given to custom images by name, never shown."""

from typing import Any

import pytest
from django.test import Client

from apps.accounts.models import User, Workspace
from apps.audit.models import Event
from apps.core.encryption import decrypt
from apps.core.errors import Invalid
from apps.deployments import variables
from apps.deployments.custom import VARIABLE
from apps.deployments.models import Deployment, EnvironmentVariable, UseCase
from apps.deployments.services import create_deployment, create_revision, restore_revision
from apps.registry import services as registry
from apps.registry.models import ModelVersion

PAGE = "/w/retail-credit/settings/variables/"
API = "/workspaces/retail-credit/environmentVariables"
SENT = {"name": "Scoring key", "key": "SCORING_KEY", "value": " tr0ub4dor "}


@pytest.fixture
def variable(workspace: Workspace, operator: User) -> EnvironmentVariable:
    return variables.create_variable(workspace=workspace, by=operator, **SENT)


@pytest.fixture
def image(workspace: Workspace, operator: User) -> ModelVersion:
    model = registry.create_model(workspace=workspace, name="Bureau", by=operator)
    return registry.add_image_version(model=model, image="bank/bureau:1", by=operator)


@pytest.fixture
def deployment(image: ModelVersion, variable: EnvironmentVariable, operator: User) -> Deployment:
    return create_deployment(
        workspace=image.model.workspace, name="Bureau", model_version=image, backend="docker",
        config={"args": ["--fast"], "variableIds": [str(variable.id)]}, by=operator,
    )  # fmt: skip


def test_a_value_is_sealed_and_never_shown(client_for: Any, operator: User) -> None:
    client: Client = client_for(operator)
    assert client.post(PAGE, SENT).status_code == 302
    kept = EnvironmentVariable.objects.get()
    assert b"tr0ub4dor" not in bytes(kept.value)
    assert decrypt(bytes(kept.value), purpose=VARIABLE) == SENT["value"]
    page = client.get(PAGE).content.decode()
    assert "SCORING_KEY" in page
    assert "tr0ub4dor" not in page
    assert "tr0ub4dor" not in str(list(Event.objects.values()))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"key": "1A"}, "begins with no digit"),
        ({"key": "A-B"}, "letters, digits and underscores"),
        ({"key": "path"}, "set by the container"),
        ({"value": ""}, "required"),
        ({"name": "scoring KEY"}, "already"),
    ],
)
def test_what_is_wrong_is_said_at_its_field_and_kept(
    client_for: Any, operator: User, variable: EnvironmentVariable,
    change: dict[str, str], said: str,
) -> None:  # fmt: skip
    sent = SENT | {"name": "Another", "key": "OTHER"} | change
    answer = client_for(operator).post(PAGE, sent)
    page = answer.content.decode()
    assert answer.status_code == 400
    assert said in page
    assert f'value="{sent["name"]}"' in page
    assert EnvironmentVariable.objects.count() == 1


def test_a_value_is_replaced(
    client_for: Any, operator: User, variable: EnvironmentVariable
) -> None:
    client_for(operator).post(f"{PAGE}{variable.id}/", {"value": "new"})
    variable.refresh_from_db()
    assert decrypt(bytes(variable.value), purpose=VARIABLE) == "new"
    assert Event.objects.filter(name="variable.replaced").count() == 1


def test_an_empty_replacement_changes_nothing(
    client_for: Any, operator: User, variable: EnvironmentVariable
) -> None:
    answer = client_for(operator).post(f"{PAGE}{variable.id}/", {"value": ""}, follow=True)
    assert "Nothing was changed" in answer.content.decode()
    variable.refresh_from_db()
    assert decrypt(bytes(variable.value), purpose=VARIABLE) == SENT["value"]


def test_what_a_revision_gets_cannot_be_deleted(
    client_for: Any, operator: User, variable: EnvironmentVariable, deployment: Deployment
) -> None:
    answer = client_for(operator).post(f"{PAGE}{variable.id}/delete/", follow=True)
    assert "is used by Bureau" in answer.content.decode()
    assert EnvironmentVariable.objects.exists()


def test_what_nothing_uses_is_deleted(
    client_for: Any, operator: User, variable: EnvironmentVariable
) -> None:
    client_for(operator).post(f"{PAGE}{variable.id}/delete/")
    assert not EnvironmentVariable.objects.exists()


def test_a_revision_keeps_what_the_one_before_was_given(
    deployment: Deployment, variable: EnvironmentVariable, operator: User
) -> None:
    second = create_revision(deployment=deployment, by=operator, note="again")
    third = create_revision(deployment=deployment, by=operator, config={})
    restored = restore_revision(revision=second, by=operator)
    given = [row.components.get().config for row in (second, third, restored)]
    whole = {
        "args": ["--fast"], "variableIds": [str(variable.id)], "variableKeys": ["SCORING_KEY"],
    }  # fmt: skip
    assert given == [whole, {}, whole]


def test_variables_of_other_workspaces_and_equal_keys_are_refused(
    deployment: Deployment, variable: EnvironmentVariable, operator: User,
    other_workspace: Workspace, outsider: User,
) -> None:  # fmt: skip
    foreign = variables.create_variable(workspace=other_workspace, by=outsider, **SENT)
    with pytest.raises(Invalid, match="not in this workspace"):
        create_revision(deployment=deployment, by=operator, config={"variableIds": [foreign.id]})
    twin = variables.create_variable(
        workspace=deployment.workspace, name="Twin", key="SCORING_KEY", value="x", by=operator
    )
    with pytest.raises(Invalid, match="Two of these variables set SCORING_KEY"):
        create_revision(
            deployment=deployment, by=operator, config={"variableIds": [variable.id, twin.id]}
        )


def test_the_flow_asks_for_arguments_and_variables_of_an_image(
    client_for: Any, operator: User, image: ModelVersion, variable: EnvironmentVariable,
    use_case: UseCase, engine_offered: None,
) -> None:  # fmt: skip
    client: Client = client_for(operator)
    said = {"use_case": str(use_case.id), "version": str(image.id), "step": "details"}
    page = client.get("/w/retail-credit/deployments/new/", said).content.decode()
    assert "Arguments of the container" in page
    assert "Scoring key" in page
    said |= {
        "name": "Bureau", "durability": "committed", "backend": "docker", "min_replicas": "1",
        "memory_mb": "512", "threads": "1", "load_timeout_seconds": "60",
        "args": "--fast\n\n--depth 3", "variables": [str(variable.id)], "step": "review",
    }  # fmt: skip
    review = client.get("/w/retail-credit/deployments/new/", said).content.decode()
    assert "SCORING_KEY" in review
    assert client.post("/w/retail-credit/deployments/new/", said).status_code == 302
    component = Deployment.objects.get().revisions.get().components.get()
    assert component.config["args"] == ["--fast", "--depth 3"]
    assert component.config["variableKeys"] == ["SCORING_KEY"]


@pytest.fixture
def use_case(workspace: Workspace, operator: User) -> UseCase:
    return UseCase.objects.create(workspace=workspace, name="Credit", created_by=operator)


@pytest.fixture
def engine_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    """The choice of backends as on a machine with an engine; nothing is started here."""
    monkeypatch.setattr(
        "apps.deployments.backends.offers._answering", lambda: ({"process", "docker"}, "")
    )


def test_the_api_takes_and_lists_variables(
    client_for: Any, operator: User, deployment: Deployment, variable: EnvironmentVariable
) -> None:
    client: Client = client_for(operator)
    sent = SENT | {"name": "Other", "key": "OTHER"}
    made = client.post(API, sent, content_type="application/json")
    assert made.status_code == 201
    assert made.json()["valueEncrypted"] == []
    assert "tr0ub4dor" not in made.content.decode()
    assert {row["key"] for row in client.get(API).json()} == {"OTHER", "SCORING_KEY"}
    asked = f"{API}/raw?deploymentId=eq:{deployment.id}&artifact=eq:model"
    assert [row["id"] for row in client.get(asked).json()["data"]] == [str(variable.id)]
    patched = client.patch(
        f"{API}/{variable.id}", {"value": "new"}, content_type="application/json"
    )
    assert patched.status_code == 200
    assert client.delete(f"{API}/{variable.id}").status_code == 409
    assert client.delete(f"{API}/{made.json()['id']}").status_code == 204


def test_a_revision_over_the_api_gets_arguments_and_variables(
    client_for: Any, operator: User, deployment: Deployment, variable: EnvironmentVariable
) -> None:
    client: Client = client_for(operator)
    address = f"/workspaces/retail-credit/deployments/{deployment.id}"
    answer = client.patch(address, {"modelArgs": ["-x"]}, content_type="application/json")
    newest = answer.json()["lastVersion"]
    assert newest["modelArgs"] == ["-x"]
    assert newest["modelEnvironmentVariableIds"] == [str(variable.id)]


@pytest.mark.parametrize("path", [PAGE, API])
def test_strangers_and_reviewers_see_no_variables(
    client_for: Any, client: Client, outsider: User, reviewer: User,
    variable: EnvironmentVariable, path: str,
) -> None:  # fmt: skip
    assert client_for(outsider).get(path).status_code == 404
    assert client_for(reviewer).get(path).status_code == 403
    assert client.get(path).status_code in (302, 401)
    assert client_for(reviewer).post(path, SENT).status_code == 403
    assert EnvironmentVariable.objects.count() == 1


def test_the_list_takes_the_same_queries_for_many(
    client_for: Any, operator: User, workspace: Workspace, deployment: Deployment,
    django_assert_max_num_queries: Any,
) -> None:  # fmt: skip
    for number in range(20):
        variables.create_variable(
            workspace=workspace, name=f"V{number}", key=f"V{number}", value="x", by=operator
        )
    client: Client = client_for(operator)
    client.get(PAGE)
    with django_assert_max_num_queries(12):
        assert client.get(PAGE).status_code == 200

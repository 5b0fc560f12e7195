"""Tokens of a deployment: on its page and over the API."""

from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import skops.io
from django.test import Client
from django.utils import timezone
from sklearn.linear_model import LogisticRegression

from apps.accounts import services as accounts
from apps.accounts.credentials import hash_secret
from apps.accounts.models import DeploymentToken, User, Workspace
from apps.audit.models import Event
from apps.deployments.models import Deployment
from apps.deployments.services import create_deployment
from apps.registry import services as registry
from apps.registry.services import Upload

PAGE = "/w/retail-credit/deployments/credit-risk/tokens/"
API = "/workspaces/retail-credit/deployments/credit-risk/tokens"


@pytest.fixture
def deployment(workspace: Workspace, operator: User, tmp_path: Path) -> Deployment:
    skops.io.dump(LogisticRegression().fit([[0.0], [1.0]], [0, 1]), tmp_path / "m.skops")
    model = registry.create_model(workspace=workspace, name="Logistic", by=operator)
    upload = Upload("m.skops", [(tmp_path / "m.skops").read_bytes()])
    version = registry.add_version(model=model, artifact=upload, by=operator)
    return create_deployment(
        workspace=workspace, name="Credit risk", model_version=version, by=operator
    )


def issue(deployment: Deployment, by: User, name: str = "Portal", **more: Any) -> DeploymentToken:
    token, _ = accounts.issue_token(
        workspace=deployment.workspace,
        deployment_id=deployment.id,
        deployment_name=deployment.name,
        name=name,
        scopes=["predict"],
        by=by,
        **more,
    )
    return token


def test_a_token_is_shown_once_with_a_ready_line(
    client_for: Any, operator: User, deployment: Deployment
) -> None:
    client = client_for(operator)
    sent = {"name": "Portal", "scopes": ["predict", "actuals"], "expires": "30"}
    answer = client.post(PAGE, sent)
    token = DeploymentToken.objects.get()
    text = answer.context["text"]
    assert answer.status_code == 201
    assert hash_secret(text) == bytes(token.secret_hash)
    page = answer.content.decode()
    assert f"curl -H 'Authorization: Bearer {text}'" in page
    assert "no-store" in answer["Cache-Control"]
    assert token.scopes == ["predict", "actuals"]
    assert token.expires_at is not None
    assert timedelta(days=29) < token.expires_at - timezone.now() < timedelta(days=31)
    again = client.get(PAGE).content.decode()
    assert text not in again
    assert token.hint in again


def test_a_token_may_be_good_for_ever(
    client_for: Any, operator: User, deployment: Deployment
) -> None:
    client_for(operator).post(PAGE, {"name": "Portal", "scopes": ["predict"], "expires": "never"})
    assert DeploymentToken.objects.get().expires_at is None


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ({"name": "Portal", "expires": "never"}, "Choose at least one"),
        ({"name": "", "scopes": ["predict"]}, "required"),
        ({"name": "Portal", "scopes": ["everything"]}, "everything is not one of"),
        ({"name": "Portal", "scopes": ["predict"], "expires": "7000"}, "7000 is not one of"),
    ],
)
def test_a_wrong_form_says_what_and_keeps_the_rest(
    sent: dict[str, Any], said: str, client_for: Any, operator: User, deployment: Deployment
) -> None:
    answer = client_for(operator).post(PAGE, sent)
    assert answer.status_code == 400
    assert said in answer.content.decode()
    assert f'value="{sent["name"]}"' in answer.content.decode() or not sent["name"]
    assert not DeploymentToken.objects.exists()


def test_the_list_tells_states_apart(
    client_for: Any, operator: User, deployment: Deployment
) -> None:
    past = timezone.now() - timedelta(hours=1)
    issue(deployment, operator, "Works")
    issue(deployment, operator, "Old", expires_at=past)
    gone = issue(deployment, operator, "Gone")
    accounts.revoke_token(token=gone, by=operator.actor, now=past)
    rows = client_for(operator).get(PAGE).context["rows"]
    states = {row["token"].name: row["state"]["word"] for row in rows}
    assert states == {"Works": "Active", "Old": "Expired", "Gone": "Revoked"}
    assert [row["token"].name for row in rows][-1] == "Gone"


def test_the_list_takes_the_same_queries_however_long(
    client_for: Any, operator: User, deployment: Deployment, django_assert_max_num_queries: Any
) -> None:
    for number in range(15):
        issue(deployment, operator, f"t{number}")
    client = client_for(operator)
    with django_assert_max_num_queries(12):
        client.get(PAGE)


def test_revoking_records_who_did_it(
    client_for: Any, operator: User, deployment: Deployment
) -> None:
    token = issue(deployment, operator)
    answer = client_for(operator).post(f"{PAGE}{token.id}/revoke/", follow=True)
    assert "is revoked" in answer.content.decode()
    token.refresh_from_db()
    assert token.revoked_at is not None
    assert Event.objects.get(name="token.revoked").actor_id == str(operator.id)


def test_the_page_admits_members_to_read_and_operators_to_write(
    client_for: Any,
    operator: User,
    reviewer: User,
    auditor: User,
    outsider: User,
    deployment: Deployment,
) -> None:
    token = issue(deployment, operator)
    sent = {"name": "Portal", "scopes": ["predict"], "expires": "never"}
    for user in (reviewer, auditor):
        client = client_for(user)
        assert client.get(PAGE).status_code == 200
        assert client.post(PAGE, sent).status_code == 403
        assert client.post(f"{PAGE}{token.id}/revoke/").status_code == 403
    assert client_for(outsider).get(PAGE).status_code == 404
    assert client_for(outsider).post(f"{PAGE}{token.id}/revoke/").status_code == 404
    assert client_for(operator).get(f"{PAGE}{token.id}/revoke/").status_code == 405
    assert client_for(operator).delete(PAGE).status_code == 405
    assert client_for(operator).post(f"{PAGE}{uuid4()}/revoke/").status_code == 404
    assert "/account/login/" in Client().get(PAGE)["Location"]


def test_the_api_gives_the_text_in_the_answer_to_post_only(
    client_for: Any, operator: User, deployment: Deployment
) -> None:
    client = client_for(operator)
    body = {"name": "Portal", "scopes": ["predict", "explain"], "expiresAt": "2090-01-01T00:00:00Z"}
    made = client.post(API, body, content_type="application/json")
    assert made.status_code == 201
    assert made.json()["token"].startswith("DPT")
    listed = client.get(API).json()
    assert listed[0]["expiresAt"].startswith("2090-01-01")
    assert listed[0]["scopes"] == ["predict", "explain"]
    assert "token" not in listed[0]
    assert client.delete(f"{API}/{made.json()['id']}").status_code == 204
    assert client.get(API).json()[0]["revokedAt"] is not None


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": "x", "scopes": []}, "scopes"),
        ({"name": "x", "scopes": ["all"]}, "scopes[0]"),
        ({"scopes": ["predict"]}, "name"),
        ({"name": "x", "scopes": ["predict"], "expiresAt": "2001-01-01T00:00:00Z"}, "expiresAt"),
    ],
)
def test_the_api_names_the_wrong_field(
    body: dict[str, Any], field: str, client_for: Any, operator: User, deployment: Deployment
) -> None:
    answer = client_for(operator).post(API, body, content_type="application/json")
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"].startswith(field.partition("[")[0])


def test_the_api_admits_as_the_page_does(
    client_for: Any,
    operator: User,
    reviewer: User,
    auditor: User,
    outsider: User,
    deployment: Deployment,
) -> None:
    token = issue(deployment, operator)
    body = {"name": "x", "scopes": ["predict"]}
    for user in (reviewer, auditor):
        client = client_for(user)
        assert client.get(API).status_code == 200
        assert client.post(API, body, content_type="application/json").status_code == 403
        assert client.delete(f"{API}/{token.id}").status_code == 403
    assert client_for(outsider).get(API).status_code == 404
    assert client_for(outsider).delete(f"{API}/{token.id}").status_code == 404
    assert client_for(operator).delete(f"{API}/{uuid4()}").status_code == 404
    assert client_for(operator).put(API).status_code == 405
    assert Client().get(API).status_code == 401

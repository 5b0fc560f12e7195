"""Endpoints elsewhere and entries of the inventory: pages, API, health, and who may."""

import json
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from apps.accounts.models import User, Workspace
from apps.audit.models import Event
from apps.core.encryption import decrypt
from apps.core.errors import Invalid
from apps.deployments import external
from apps.deployments.external import EndpointWish
from apps.deployments.models import Deployment
from apps.deployments.reconcile import Reconciler
from apps.deployments.selectors import condition, find_deployment
from apps.registry.models import Credential
from tests.deployments.test_api import REQUIRED, Api
from tests.elsewhere import Elsewhere

ClientFor = Callable[[User], Client]
HOME = "/w/retail-credit/deployments/"
METADATA = {
    "features": [{"name": "income", "type": "number"}],
    "exampleInput": {"instances": [{"income": 100.0}]},
}


@pytest.fixture
def elsewhere(settings: Any) -> Iterator[Elsewhere]:
    settings.OUTBOUND_ALLOW = ["127.0.0.1"]
    place = Elsewhere()
    yield place
    place.close()


@pytest.fixture
def endpoint(workspace: Workspace, operator: User, elsewhere: Elsewhere) -> Deployment:
    return external.create_external(
        workspace=workspace,
        name="Bureau score",
        wish=EndpointWish(elsewhere.url("/v1"), "bearer", password="s3cret"),
        by=operator,
    )


@pytest.fixture
def entry(workspace: Workspace, operator: User) -> Deployment:
    return external.create_registration(
        workspace=workspace, name="Treasury sheet", place="A spreadsheet", by=operator
    )


def typed(elsewhere: Elsewhere, **more: Any) -> dict[str, Any]:
    return {
        "name": "Bureau score",
        "new_use_case": "Scoring",
        "url": elsewhere.url("/v1"),
        "mapping": "v1",
        "authentication": "none",
        "timeout_seconds": 30,
        "max_answer_mb": 10,
        "durability": "committed",
    } | more


def until(reconciler: Reconciler, done: Callable[[], bool], **ahead: int) -> None:
    deadline = time.monotonic() + 10
    while not done():
        assert time.monotonic() < deadline
        reconciler.tick(timezone.now() + timedelta(**ahead))
        time.sleep(0.02)


def test_an_endpoint_is_connected_on_its_page(
    client_for: ClientFor, operator: User, elsewhere: Elsewhere
) -> None:
    answer = client_for(operator).post(f"{HOME}new/endpoint/", typed(elsewhere))
    assert (answer.status_code, answer["location"]) == (302, f"{HOME}bureau-score/progress/")
    made = Deployment.objects.get()
    assert (made.kind, made.use_case.name) == ("external", "Scoring")


def test_what_was_typed_stays_when_the_address_may_not_be_called(
    client_for: ClientFor, operator: User, elsewhere: Elsewhere
) -> None:
    body = typed(elsewhere, url="http://10.1.2.3/score", description="Of the bureau")
    answer = client_for(operator).post(f"{HOME}new/endpoint/", body)
    page = answer.content.decode()
    assert answer.status_code == 400
    assert "may not be called from here" in page
    assert "http://10.1.2.3/score" in page
    assert "Of the bureau" in page
    assert not Deployment.objects.exists()


def test_an_entry_is_registered_on_its_page(client_for: ClientFor, operator: User) -> None:
    client = client_for(operator)
    body = {"name": "Treasury sheet", "new_use_case": "Liquidity", "place": "A spreadsheet"}
    answer = client.post(f"{HOME}new/registration/", body)
    page = client.get(answer["location"]).content.decode()
    assert "An entry of the inventory" in page
    assert "A spreadsheet" in page
    assert "Try it" not in page


@pytest.mark.parametrize("path", ["new/endpoint/", "new/registration/", "new/transformer/"])
@pytest.mark.parametrize(
    ("persona", "status"),
    [("operator", 200), ("reviewer", 403), ("auditor", 403), ("outsider", 404)],
)
def test_who_may_see_the_pages(
    request: pytest.FixtureRequest,
    workspace: Workspace,
    client_for: ClientFor,
    path: str,
    persona: str,
    status: int,
) -> None:
    client = client_for(request.getfixturevalue(persona))
    assert client.get(HOME + path).status_code == status


@pytest.mark.parametrize("path", ["new/endpoint/", "new/registration/", "new/transformer/"])
def test_nobody_sees_them_signed_out_or_by_another_method(
    workspace: Workspace, operator: User, client_for: ClientFor, path: str
) -> None:
    assert Client().get(HOME + path)["location"].startswith("/account/login/")
    assert client_for(operator).put(HOME + path).status_code == 405


def test_the_pages_of_an_endpoint_show_it_without_its_secret(
    client_for: ClientFor, operator: User, endpoint: Deployment, elsewhere: Elsewhere
) -> None:
    client = client_for(operator)
    for page in ("", "progress/", "revisions/", "revisions/new/", "settings/", "tokens/"):
        answer = client.get(f"{HOME}bureau-score/{page}")
        assert answer.status_code == 200, page
        assert "s3cret" not in answer.content.decode(), page
    page = client.get(f"{HOME}bureau-score/").content.decode()
    assert elsewhere.url("/v1") in page
    assert client.get("/w/retail-credit/models/bureau-score/1/").status_code == 200


def test_the_pages_of_an_entry_offer_no_calls(
    client_for: ClientFor, operator: User, entry: Deployment
) -> None:
    client = client_for(operator)
    for page in ("", "revisions/", "revisions/new/", "settings/"):
        assert client.get(f"{HOME}treasury-sheet/{page}").status_code == 200, page
    assert client.get(f"{HOME}treasury-sheet/try/").status_code == 404


def test_a_new_revision_of_an_entry_counts_at_once(
    client_for: ClientFor, operator: User, entry: Deployment
) -> None:
    body = {"place": "The ledger", "note": "Moved"}
    client_for(operator).post(f"{HOME}treasury-sheet/revisions/new/", body)
    states = entry.revisions.order_by("number").values_list("state", flat=True)
    assert list(states) == ["retired", "active"]


def test_the_secret_is_kept_encrypted_and_for_its_address_alone(
    endpoint: Deployment, operator: User, elsewhere: Elsewhere
) -> None:
    credential = Credential.objects.get()
    assert b"s3cret" not in bytes(credential.secret)
    opened = json.loads(decrypt(bytes(credential.secret), purpose="credential"))
    assert opened == {"token": "s3cret"}
    again = EndpointWish(elsewhere.url("/v2"), "bearer")
    external.revise_external(deployment=endpoint, wish=again, by=operator)
    elsewhere_too = EndpointWish("http://127.0.0.1:1/v1", "bearer")
    with pytest.raises(Invalid, match="Enter the secret"):
        external.revise_external(deployment=endpoint, wish=elsewhere_too, by=operator)


def test_an_endpoint_that_is_lost_and_back_shows_and_is_told(
    endpoint: Deployment, elsewhere: Elsewhere, transactional_db: None
) -> None:
    def word() -> str:
        return condition(find_deployment(endpoint.workspace, str(endpoint.id))).word

    reconciler = Reconciler()
    until(reconciler, lambda: word() == "Serving")
    elsewhere.down = True
    until(reconciler, lambda: word() == "Not answering", minutes=1)
    elsewhere.down = False
    until(reconciler, lambda: word() == "Serving", minutes=2)
    reconciler.stop_everything(timezone.now())
    names = Event.objects.filter(name__startswith="deployment.endpoint").order_by("number")
    assert [e.name for e in names] == ["deployment.endpoint_lost", "deployment.endpoint_back"]


def test_a_deleted_endpoint_is_given_up(endpoint: Deployment, transactional_db: None) -> None:
    reconciler = Reconciler()
    until(reconciler, lambda: Deployment.objects.get().active_revision is not None)
    Deployment.objects.update(desired="deleted")
    until(reconciler, lambda: Deployment.objects.get().active_revision is None)
    assert endpoint.revisions.get().state == "retired"
    reconciler.stop_everything(timezone.now())


def test_the_api_makes_and_changes_an_external_deployment(
    workspace: Workspace, operator: User, elsewhere: Elsewhere
) -> None:
    api, base = Api(operator), f"/workspaces/{workspace.id}/deployments"
    body = {
        "name": "Bureau score",
        "deploymentType": "External",
        "url": elsewhere.url("/custom"),
        "authentication": "custom",
        "username": "X-Api-Key",
        "password": "s3cret",
        "tokenURL": None,
        "metadata": METADATA,
        "guardrailIds": [],
    }
    status, made = api.call("POST", base, body)
    assert (status, made["deploymentType"]) == (201, "External")
    assert all(isinstance(made[key], kind) for key, kind in REQUIRED.items())
    assert "s3cret" not in json.dumps(made)
    change = {"timeoutSeconds": 5, "modelCard": "Bought"}
    status, changed = api.call("PATCH", f"{base}/{made['id']}", change)
    assert (status, changed["lastVersion"]["number"]) == (200, 2)
    assert changed["lastVersion"]["endpoint"]["timeoutSeconds"] == 5
    assert Credential.objects.count() == 1


def test_the_api_registers_a_model(workspace: Workspace, operator: User) -> None:
    api, base = Api(operator), f"/workspaces/{workspace.id}/deployments"
    body = {"name": "Treasury sheet", "deploymentType": "Registration", "modelCard": "A sheet"}
    status, made = api.call("POST", base, body)
    assert (status, made["deploymentType"], made["state"]) == (201, "Registration", "Registered")
    status, changed = api.call("PATCH", f"{base}/{made['id']}", {"place": "The ledger"})
    assert (status, changed["activeVersion"]["endpoint"]) == (200, {"place": "The ledger"})


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"url": "http://169.254.169.254/"}, "url"),
        ({"authentication": "basic"}, "username"),
        ({"authentication": "custom", "username": "Host", "password": "x"}, "username"),
        ({"authentication": "oauth", "username": "c", "password": "x"}, "token_url"),
        ({"timeoutSeconds": 0}, "timeout_seconds"),
    ],
)
def test_the_api_names_what_does_not_fit(
    workspace: Workspace, operator: User, elsewhere: Elsewhere, given: Any, field: str
) -> None:
    body = {
        "name": "Bureau score",
        "deploymentType": "External",
        "url": elsewhere.url("/v1"),
        "authentication": "none",
    }
    status, said = Api(operator).call(
        "POST", f"/workspaces/{workspace.id}/deployments", body | given
    )
    assert (status, said["errors"][0]["field"]) == (400, field)


def test_the_api_refuses_strangers_and_reviewers(
    workspace: Workspace, reviewer: User, outsider: User
) -> None:
    body = {"name": "Treasury sheet", "deploymentType": "Registration"}
    path = f"/workspaces/{workspace.id}/deployments"
    assert Api(reviewer).call("POST", path, body)[0] == 403
    assert Api(outsider).call("POST", path, body)[0] == 404

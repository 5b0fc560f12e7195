"""The API of people, workspaces and credentials."""

import base64
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.utils import timezone

from apps.accounts import services
from apps.accounts.callers import load_callers
from apps.accounts.credentials import hash_secret
from apps.accounts.models import KeyPair, User, Workspace
from apps.audit.models import Event
from tests.accounts.conftest import add_second_factor

W = "/workspaces/retail-credit"
JSON = "application/json"


def basic(access: str, secret: str) -> dict[str, str]:
    code = base64.b64encode(f"{access}:{secret}".encode()).decode()
    return {"authorization": f"Basic {code}"}


def test_a_key_pair_is_made_used_and_revoked(client_for: Any, operator: User) -> None:
    client = client_for(operator)
    made = client.post("/keyPairs", {"name": "CI"}, content_type=JSON)
    assert made.status_code == 201
    assert "no-store" in made["Cache-Control"]
    headers = basic(made.json()["accessKey"], made.json()["secretKey"])
    listed = Client().get("/keyPairs", headers=headers)
    assert [each["name"] for each in listed.json()] == ["CI"]
    assert "secretKey" not in listed.json()[0]
    assert client.delete(f"/keyPairs/{made.json()['id']}").status_code == 204
    refused = Client().get("/keyPairs", headers=headers)
    assert refused.status_code == 401
    assert "revoked" in refused.json()["message"]


def test_an_expired_key_pair_is_refused(operator: User) -> None:
    past = timezone.now() - timedelta(seconds=1)
    pair, secret = services.create_key_pair(user=operator, name="Old", expires_at=past)
    answer = Client().get("/keyPairs", headers=basic(pair.access_key, secret))
    assert answer.status_code == 401
    assert "expired" in answer.json()["message"]


def test_a_program_that_makes_a_key_pair_is_named(operator: User) -> None:
    pair, secret = services.create_key_pair(user=operator, name="First")
    headers = basic(pair.access_key, secret)
    Client().post("/keyPairs", {"name": "Second"}, content_type=JSON, headers=headers)
    event = Event.objects.filter(name="key_pair.created").latest("number")
    assert (event.actor_kind, event.actor_id) == ("key_pair", str(pair.id))


def test_key_pairs_belong_to_their_person(
    client_for: Any, operator: User, owner: User, workspace: Workspace
) -> None:
    pair, _ = services.create_key_pair(user=operator, name="CI")
    assert client_for(owner).get("/keyPairs").json() == []
    assert client_for(owner).delete(f"/keyPairs/{pair.id}").status_code == 404
    assert client_for(operator).patch("/keyPairs").status_code == 405
    assert Client().get("/keyPairs").status_code == 401
    _, text = services.issue_token(
        workspace=workspace,
        deployment_id=uuid4(),
        deployment_name="x",
        name="x",
        scopes=["predict"],
        by=operator,
    )
    bearer = {"authorization": f"Bearer {text}"}
    assert Client().get("/keyPairs", headers=bearer).status_code == 403
    assert Client().get("/workspaces", headers=bearer).json() == []
    assert Client().post("/workspaces", {"name": "x"}, headers=bearer).status_code == 403


def test_the_deactivated_are_refused_everywhere(
    client_for: Any, admin: User, operator: User
) -> None:
    pair, secret = services.create_key_pair(user=operator, name="CI")
    key = pair.access_key, hash_secret(secret)
    assert key in load_callers().key_pairs
    path, body = f"/users/{operator.id}", {"isActive": False}
    assert client_for(admin).patch(path, body, content_type=JSON).json()["isActive"] is False
    assert Client().get("/workspaces", headers=basic(pair.access_key, secret)).status_code == 401
    assert key not in load_callers().key_pairs
    assert operator.id not in load_callers().people


@pytest.mark.parametrize(
    ("persona", "seen"),
    [
        ("operator", {"retail-credit"}),
        ("outsider", {"fraud"}),
        ("admin", {"retail-credit", "fraud"}),
        ("auditor", {"retail-credit", "fraud"}),
    ],
)
def test_workspaces_are_those_one_may_see(
    persona: str,
    seen: set[str],
    client_for: Any,
    workspace: Workspace,
    other_workspace: Workspace,
    request: pytest.FixtureRequest,
) -> None:
    listed = client_for(request.getfixturevalue(persona)).get("/workspaces").json()
    assert {each["slug"] for each in listed} == seen


def test_a_workspace_is_made_by_admins_and_changed_by_owners(
    client_for: Any, admin: User, owner: User, operator: User, outsider: User
) -> None:
    made = client_for(admin).post("/workspaces", {"name": "Collections"}, content_type=JSON)
    assert made.status_code == 201
    assert client_for(admin).get(f"/workspaces/{made.json()['id']}").json()["slug"] == "collections"
    again = client_for(admin).post("/workspaces", {"name": "Collections"}, content_type=JSON)
    assert again.status_code == 409
    assert client_for(owner).post("/workspaces", {"name": "x"}).status_code == 403
    change = {"description": "Loans"}
    changed = client_for(owner).patch(W, change, content_type=JSON)
    assert changed.json()["name"] == "Retail credit"
    assert changed.json()["description"] == "Loans"
    assert client_for(operator).patch(W, change, content_type=JSON).status_code == 403
    assert client_for(outsider).patch(W, change, content_type=JSON).status_code == 404
    assert client_for(outsider).get(W).status_code == 404
    assert Client().get(W).status_code == 401
    assert client_for(owner).delete(W).status_code == 405


def test_members_are_added_changed_and_removed(client_for: Any, owner: User) -> None:
    client = client_for(owner)
    made = client.post(
        f"{W}/members", {"email": "new@example.org", "role": "reviewer"}, content_type=JSON
    )
    assert made.status_code == 201
    assert "/account/password/reset/key/" in made.json()["invitationLink"]
    person = made.json()["user"]["id"]
    one = f"{W}/members/{person}"
    assert client.patch(one, {"role": "operator"}, content_type=JSON).json()["role"] == "operator"
    assert {each["role"] for each in client.get(f"{W}/members").json()} == {"owner", "operator"}
    assert client.delete(f"{W}/members/{made.json()['id']}").status_code == 204
    assert client.delete(one).status_code == 404
    last = client.delete(f"{W}/members/{owner.id}")
    assert last.status_code == 409
    assert "last owner" in last.json()["message"]
    wrong = client.post(f"{W}/members", {"email": "x", "role": "king"}, content_type=JSON)
    assert {each["field"] for each in wrong.json()["errors"]} == {"email", "role"}


def test_members_admit_readers_and_owners(
    client_for: Any, operator: User, auditor: User, outsider: User, owner: User
) -> None:
    one = f"{W}/members/{operator.id}"
    for user, read, written in ((operator, 200, 403), (auditor, 200, 403), (outsider, 404, 404)):
        client = client_for(user)
        assert client.get(f"{W}/members").status_code == read
        assert client.post(f"{W}/members", {}, content_type=JSON).status_code == written
        assert client.patch(one, {}, content_type=JSON).status_code == written
        assert client.delete(one).status_code == written
    assert Client().get(f"{W}/members").status_code == 401
    assert client_for(owner).put(one).status_code == 405


def test_an_admin_manages_people(client_for: Any, admin: User, operator: User) -> None:
    client = client_for(admin)
    body = {"email": "aud@example.org", "organisationRole": "auditor"}
    made = client.post("/users", body, content_type=JSON)
    assert made.status_code == 201
    assert made.json()["organisationRole"] == "auditor"
    assert client.post("/users", body, content_type=JSON).status_code == 409
    assert [each["email"] for each in client.get("/users?search=aud@").json()] == [body["email"]]
    change = {"organisationRole": "governance"}
    path = f"/users/{operator.id}"
    assert client.patch(path, change, content_type=JSON).json() == client.get(path).json()
    own = client.patch(f"/users/{admin.id}", {"organisationRole": "user"}, content_type=JSON)
    assert own.status_code == 409
    assert client.delete(f"{path}/twoFactor").status_code == 409
    add_second_factor(operator)
    assert client.delete(f"{path}/twoFactor").status_code == 204


def test_what_is_refused_in_part_is_refused_whole(client_for: Any, admin: User) -> None:
    body = {"organisationRole": "user", "isActive": False}
    other = User.objects.create_user("b@example.org", None, organisation_role="admin")
    answer = client_for(admin).patch(f"/users/{admin.id}", body, content_type=JSON)
    assert answer.status_code == 409
    admin.refresh_from_db()
    assert admin.organisation_role == "admin"
    assert other.is_active


def test_people_admit_readers_of_the_organisation_and_admins(
    client_for: Any, owner: User, auditor: User, governance: User
) -> None:
    one = f"/users/{owner.id}"
    for user in (auditor, governance):
        client = client_for(user)
        assert client.get("/users").status_code == 200
        assert client.get(one).status_code == 200
        assert client.post("/users", {}, content_type=JSON).status_code == 403
        assert client.patch(one, {}, content_type=JSON).status_code == 403
        assert client.delete(f"{one}/twoFactor").status_code == 403
    for address in ("/users", one):
        assert client_for(owner).get(address).status_code == 403
        assert Client().get(address).status_code == 401
    assert client_for(auditor).delete("/users").status_code == 405


def test_lists_take_the_same_queries_however_long(
    client_for: Any,
    owner: User,
    admin: User,
    workspace: Workspace,
    django_assert_max_num_queries: Any,
) -> None:
    for number in range(12):
        user = User.objects.create_user(f"u{number}@example.org", None)
        services.add_member(workspace=workspace, user=user, role="reviewer", by=owner.actor)
        services.create_key_pair(user=admin, name=f"k{number}")
        Workspace.objects.create(name=f"w{number}", slug=f"w{number}")
    client = client_for(admin)
    for address in (f"{W}/members", "/users", "/keyPairs", "/workspaces"):
        with django_assert_max_num_queries(5):
            client.get(address)
    assert KeyPair.objects.count() == 12

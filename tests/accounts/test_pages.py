"""Pages of people, workspaces and key pairs: what they do, and whom they admit."""

import re
from typing import Any
from uuid import uuid4

import pytest
from django.core import mail
from django.test import Client

from apps.accounts import services, tasks
from apps.accounts.credentials import hash_secret
from apps.accounts.models import KeyPair, Membership, User, Workspace
from apps.audit.actor import SYSTEM
from apps.audit.models import Event
from tests.accounts.conftest import add_second_factor

KEYS = "/account/keys/"
MEMBERS = "/w/retail-credit/members/"
SETTINGS = "/w/retail-credit/settings/"
PEOPLE = "/settings/"
WORKSPACES = "/settings/workspaces/"


def said(answer: Any) -> str:
    return answer.content.decode()


def test_a_secret_key_is_shown_once(client_for: Any, reviewer: User) -> None:
    client = client_for(reviewer)
    answer = client.post(KEYS, {"name": "Notebook", "expires": "90"})
    pair = KeyPair.objects.get()
    secret = answer.context["secret"]
    assert answer.status_code == 201
    assert hash_secret(secret) == bytes(pair.secret_hash)
    assert f"curl -u '{pair.access_key}:{secret}'" in said(answer)
    assert "no-store" in answer["Cache-Control"]
    assert pair.expires_at is not None
    again = said(client.get(KEYS))
    assert secret not in again
    assert pair.access_key in again


def test_a_key_pair_needs_a_name(client_for: Any, reviewer: User) -> None:
    answer = client_for(reviewer).post(KEYS, {"name": " ", "expires": "30"})
    assert answer.status_code == 400
    assert '<option value="30" selected>' in said(answer)
    assert not KeyPair.objects.exists()


def test_a_key_pair_is_revoked_by_its_person_alone(
    client_for: Any, reviewer: User, owner: User
) -> None:
    pair, _ = services.create_key_pair(user=reviewer, name="Notebook")
    address = f"{KEYS}{pair.id}/revoke/"
    assert client_for(owner).post(address).status_code == 404
    assert client_for(reviewer).get(address).status_code == 405
    assert client_for(reviewer).post(address)["Location"] == KEYS
    pair.refresh_from_db()
    assert pair.revoked_at is not None
    assert Client().post(address)["Location"].startswith("/account/login/")
    assert Client().get(KEYS)["Location"].startswith("/account/login/")


def test_somebody_known_is_added_without_a_link(
    client_for: Any, owner: User, outsider: User, workspace: Workspace
) -> None:
    sent = {"email": "OUTSIDER@example.org", "role": "operator"}
    answer = client_for(owner).post(MEMBERS, sent, follow=True)
    assert "Outsider is a member of Retail credit" in said(answer)
    assert workspace.memberships.get(user=outsider).role == "operator"
    assert "password/reset/key" not in said(answer)


def test_somebody_new_gets_a_link_that_sets_one_password(
    client_for: Any, owner: User, workspace: Workspace
) -> None:
    sent = {"email": "new@example.org", "name": "Noor", "role": "reviewer"}
    answer = client_for(owner).post(MEMBERS, sent)
    assert answer.status_code == 201
    assert "no-store" in answer["Cache-Control"]
    found = re.search(r'id="invitation">http://127.0.0.1:\d+(/[^<]+)<', said(answer))
    assert found is not None
    noor = User.objects.get(email="new@example.org")
    assert not noor.has_usable_password()
    browser = Client()
    form = browser.get(found[1], follow=True)
    password = {"password1": "a long new password", "password2": "a long new password"}
    browser.post(form.redirect_chain[-1][0], password)
    noor.refresh_from_db()
    assert noor.check_password("a long new password")
    assert "choose a new password" not in said(Client().get(found[1], follow=True)).lower()
    event = Event.objects.get(name="person.invited")
    assert '"link":"shown to the inviter"' in event.data
    assert found[1] not in str(list(Event.objects.values()))


def test_with_a_mail_server_the_link_is_mailed_and_not_shown(
    client_for: Any,
    owner: User,
    workspace: Workspace,
    settings: Any,
    sent_tasks: list[tuple[str, ...]],
    django_capture_on_commit_callbacks: Any,
) -> None:
    settings.EMAIL_HOST = "mail.example.org"
    with django_capture_on_commit_callbacks(execute=True):
        answer = client_for(owner).post(
            MEMBERS, {"email": "new@example.org", "role": "reviewer"}, follow=True
        )
    assert "is on its way to new@example.org" in said(answer)
    assert "password/reset/key" not in said(answer)
    noor = User.objects.get(email="new@example.org")
    assert sent_tasks == [
        ("apps.accounts.tasks.send_invitation", str(noor.id), "Owner", "Retail credit")
    ]
    tasks.send_invitation(*sent_tasks[0][1:])
    assert mail.outbox[0].to == ["new@example.org"]
    assert "to the workspace Retail credit" in mail.outbox[0].body
    assert "/account/password/reset/key/" in mail.outbox[0].body


def test_no_invitation_follows_a_password(workspace: Workspace, owner: User) -> None:
    tasks.send_invitation(str(owner.id), "Somebody", "")
    assert mail.outbox == []


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        ({"email": "no address", "role": "owner"}, "valid email address"),
        (
            {"email": "operator@example.org", "role": "owner"},
            "is a member of Retail",
        ),
        ({"email": "new@example.org", "role": "king"}, "king is not one of"),
        ({"email": "gone@example.org", "role": "owner"}, "was deactivated"),
    ],
)
def test_a_refused_member_stays_in_the_form(
    sent: dict[str, str], words: str, client_for: Any, owner: User, operator: User
) -> None:
    User.objects.create_user("gone@example.org", None, is_active=False)
    answer = client_for(owner).post(MEMBERS, sent)
    assert answer.status_code == 400
    assert words in said(answer)
    assert f'value="{sent["email"]}"' in said(answer)


def test_roles_change_and_members_go(client_for: Any, owner: User, operator: User) -> None:
    member = operator.memberships.get()
    client = client_for(owner)
    assert "Operator is reviewer now" in said(
        client.post(f"{MEMBERS}{member.id}/role/", {"role": "reviewer"}, follow=True)
    )
    assert "choose owner" in said(
        client.post(f"{MEMBERS}{member.id}/role/", {"role": "king"}, follow=True)
    )
    assert "no member of Retail credit any more" in said(
        client.post(f"{MEMBERS}{member.id}/remove/", follow=True)
    )
    assert not Membership.objects.filter(user=operator).exists()
    assert Event.objects.filter(name__startswith="member.").count() == 2


def test_the_last_owner_is_told_why_they_stay(client_for: Any, owner: User) -> None:
    member = owner.memberships.get()
    client = client_for(owner)
    for act, sent in (("role", {"role": "reviewer"}), ("remove", {})):
        page = said(client.post(f"{MEMBERS}{member.id}/{act}/", sent, follow=True))
        assert "Owner is the last owner of Retail credit" in page
    assert owner.memberships.get().role == "owner"


def test_an_owner_who_leaves_lands_outside(
    client_for: Any, owner: User, operator: User, workspace: Workspace
) -> None:
    services.change_role(membership=operator.memberships.get(), role="owner", by=SYSTEM)
    answer = client_for(owner).post(f"{MEMBERS}{owner.memberships.get().id}/remove/")
    assert answer["Location"] == "/"


def test_members_admit_members_to_read_and_owners_to_write(
    client_for: Any, owner: User, operator: User, auditor: User, outsider: User
) -> None:
    member = operator.memberships.get()
    role, remove = f"{MEMBERS}{member.id}/role/", f"{MEMBERS}{member.id}/remove/"
    foreign = outsider.memberships.get()
    for user in (operator, auditor):
        client = client_for(user)
        assert client.get(MEMBERS).status_code == 200
        assert "Remove" not in said(client.get(MEMBERS))
        for address in (MEMBERS, role, remove):
            assert client.post(address, {"role": "owner"}).status_code == 403
    for address in (MEMBERS, role, remove):
        assert client_for(outsider).post(address, {"role": "owner"}).status_code == 404
        assert Client().post(address)["Location"].startswith("/account/login/")
    assert client_for(outsider).get(MEMBERS).status_code == 404
    assert client_for(owner).get(role).status_code == 405
    assert client_for(owner).get(remove).status_code == 405
    assert client_for(owner).post(f"{MEMBERS}{foreign.id}/remove/").status_code == 404


def test_members_take_the_same_queries_however_many(
    client_for: Any, owner: User, workspace: Workspace, django_assert_max_num_queries: Any
) -> None:
    for number in range(12):
        user = User.objects.create_user(f"u{number}@example.org", None)
        Membership.objects.create(workspace=workspace, user=user, role="reviewer")
    client = client_for(owner)
    with django_assert_max_num_queries(9):
        client.get(MEMBERS)


def test_an_owner_renames_the_workspace_and_its_address_stays(
    client_for: Any, owner: User, operator: User, outsider: User, workspace: Workspace
) -> None:
    sent = {"name": "Consumer credit", "description": "Loans to people"}
    assert client_for(owner).post(SETTINGS, sent)["Location"] == SETTINGS
    page = said(client_for(operator).get(SETTINGS))
    assert "Consumer credit" in page
    assert "Loans to people" in page
    assert "<textarea" not in page
    assert client_for(operator).post(SETTINGS, sent).status_code == 403
    assert client_for(outsider).get(SETTINGS).status_code == 404
    assert client_for(owner).delete(SETTINGS).status_code == 405
    assert Event.objects.filter(name="workspace.changed").count() == 1


def test_a_taken_name_is_refused(
    client_for: Any, owner: User, other_workspace: Workspace, workspace: Workspace
) -> None:
    answer = client_for(owner).post(SETTINGS, {"name": "fraud", "description": "kept"})
    assert answer.status_code == 400
    assert "choose another name" in said(answer)
    assert "kept" in said(answer)


def test_people_are_listed_and_searched(
    client_for: Any, admin: User, owner: User, reviewer: User
) -> None:
    client = client_for(admin)
    page = said(client.get(PEOPLE))
    assert "owner@example.org" in page
    fragment = client.get(PEOPLE, {"q": "REVIEW"}, headers={"HX-Request": "true"})
    assert "<html" not in said(fragment)
    assert "reviewer@example.org" in said(fragment)
    assert "owner@example.org" not in said(fragment)
    assert "HX-Request" in fragment["Vary"]
    assert "Nobody here has" in said(client.get(PEOPLE, {"q": "xyz"}))


def test_people_take_the_same_queries_however_many(
    client_for: Any, admin: User, django_assert_max_num_queries: Any
) -> None:
    for number in range(20):
        User.objects.create_user(f"u{number}@example.org", None)
    client = client_for(admin)
    with django_assert_max_num_queries(7):
        client.get(PEOPLE)


def test_an_admin_invites_with_a_role(client_for: Any, admin: User) -> None:
    sent = {"email": "aud@example.org", "name": "Audrey", "organisation_role": "auditor"}
    answer = client_for(admin).post(PEOPLE, sent)
    assert answer.status_code == 201
    assert "/account/password/reset/key/" in said(answer)
    audrey = User.objects.get(email="aud@example.org")
    assert audrey.organisation_role == "auditor"
    twice = client_for(admin).post(PEOPLE, sent)
    assert twice.status_code == 400
    assert "has an account already" in said(twice)
    again = client_for(admin).post(f"/settings/people/{audrey.id}/invite/")
    assert again.status_code == 201
    assert "/account/password/reset/key/" in said(again)


def test_nobody_gets_a_link_to_an_account_in_use(
    client_for: Any, admin: User, operator: User
) -> None:
    answer = client_for(admin).post(f"/settings/people/{operator.id}/invite/", follow=True)
    assert "has set a password already" in said(answer)
    assert "/account/password/reset/key/" not in said(answer)


def test_an_admin_changes_a_role_and_the_last_one_stays(
    client_for: Any, admin: User, operator: User
) -> None:
    client = client_for(admin)
    address = f"/settings/people/{operator.id}/role/"
    client.post(address, {"organisation_role": "governance"})
    operator.refresh_from_db()
    assert operator.organisation_role == "governance"
    assert "choose one of the roles" in said(
        client.post(address, {"organisation_role": "king"}, follow=True)
    )
    own = f"/settings/people/{admin.id}/role/"
    assert "is the last admin" in said(client.post(own, {"organisation_role": "user"}, follow=True))
    admin.refresh_from_db()
    assert admin.organisation_role == "admin"


def test_the_deactivated_are_out_at_once(client_for: Any, admin: User, operator: User) -> None:
    theirs = client_for(operator)
    assert theirs.get(MEMBERS).status_code == 200
    client = client_for(admin)
    client.post(f"/settings/people/{operator.id}/deactivate/")
    assert theirs.get(MEMBERS)["Location"].startswith("/account/login/")
    page = said(client.post(f"/settings/people/{operator.id}/reactivate/", follow=True))
    assert "is active again" in page
    assert theirs.get(MEMBERS)["Location"].startswith("/account/login/")
    assert client_for(operator).get(MEMBERS).status_code == 200


def test_an_admin_cannot_deactivate_themselves(client_for: Any, admin: User) -> None:
    page = said(client_for(admin).post(f"/settings/people/{admin.id}/deactivate/", follow=True))
    assert "cannot deactivate yourself" in page
    admin.refresh_from_db()
    assert admin.is_active


def test_second_factors_are_reset_with_an_event(
    client_for: Any, admin: User, operator: User
) -> None:
    client = client_for(admin)
    address = f"/settings/people/{operator.id}/reset-two-factor/"
    assert "has no second factor" in said(client.post(address, follow=True))
    add_second_factor(operator)
    theirs = client_for(operator)
    assert "Reset two-factor" in said(client.get(f"/settings/people/{operator.id}/"))
    assert "are removed" in said(client.post(address, follow=True))
    assert not operator.authenticator_set.exists()
    assert theirs.get(MEMBERS).status_code == 302
    assert Event.objects.get(name="person.two_factor_reset").data == '{"removed":["totp"]}'


def test_an_admin_revokes_the_key_pair_of_another(
    client_for: Any, admin: User, operator: User, reviewer: User
) -> None:
    pair, _ = services.create_key_pair(user=operator, name="Notebook")
    client = client_for(admin)
    assert client.post(f"/settings/people/{reviewer.id}/keys/{pair.id}/revoke/").status_code == 404
    client.post(f"/settings/people/{operator.id}/keys/{pair.id}/revoke/")
    pair.refresh_from_db()
    assert pair.revoked_at is not None
    assert Event.objects.get(name="key_pair.revoked").actor_id == str(admin.id)


def test_an_admin_makes_a_workspace(client_for: Any, admin: User, workspace: Workspace) -> None:
    client = client_for(admin)
    sent = {"name": "Anti-fraud", "description": "Payments"}
    assert client.post(WORKSPACES, sent)["Location"] == "/w/anti-fraud/members/"
    assert "No members yet" in said(client.get("/w/anti-fraud/members/"))
    twice = client.post(WORKSPACES, sent)
    assert twice.status_code == 400
    assert "choose another name" in said(twice)
    assert "Payments" in said(client.get(WORKSPACES))


def test_workspaces_take_the_same_queries_however_many(
    client_for: Any, admin: User, owner: User, django_assert_max_num_queries: Any
) -> None:
    for number in range(12):
        made = Workspace.objects.create(name=f"w{number}", slug=f"w{number}")
        Membership.objects.create(workspace=made, user=owner, role="owner")
    client = client_for(admin)
    with django_assert_max_num_queries(7):
        client.get(WORKSPACES)


@pytest.mark.parametrize("persona", ["governance", "auditor"])
def test_governance_and_auditors_read_the_organisation(
    persona: str, client_for: Any, operator: User, request: pytest.FixtureRequest
) -> None:
    client = client_for(request.getfixturevalue(persona))
    one = f"/settings/people/{operator.id}/"
    for address in (PEOPLE, WORKSPACES, one):
        assert client.get(address).status_code == 200
        assert 'method="post" class="card' not in said(client.get(address))
    for address in (PEOPLE, WORKSPACES, f"{one}role/", f"{one}deactivate/", f"{one}invite/"):
        assert client.post(address).status_code == 403


def test_the_organisation_is_closed_to_everybody_else(
    client_for: Any, owner: User, admin: User
) -> None:
    one = f"/settings/people/{owner.id}/"
    acts = ["role", "deactivate", "reactivate", "reset-two-factor", "invite"]
    for address in (PEOPLE, WORKSPACES, one):
        assert client_for(owner).get(address).status_code == 403
        assert Client().get(address)["Location"].startswith("/account/login/")
        assert client_for(admin).delete(address).status_code == 405
    for act in acts:
        assert client_for(owner).post(f"{one}{act}/").status_code == 403
        assert client_for(admin).get(f"{one}{act}/").status_code == 405
        assert client_for(admin).post(f"/settings/people/{uuid4()}/{act}/").status_code == 404

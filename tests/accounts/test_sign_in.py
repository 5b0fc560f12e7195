"""Sign-in and account pages: all drawn in our frame, none that is not offered, none open to
guessing."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from allauth.mfa.totp.internal.auth import (
    format_hotp_value,
    hotp_value,
    yield_hotp_counters_from_time,
)
from django.core import mail
from django.core.cache import cache
from django.test import Client

from apps.accounts.models import User
from apps.audit.models import Event
from tests.accounts.conftest import add_second_factor
from tests.conftest import PASSWORD

LOGIN = "/account/login/"
NEW = "an entirely different phrase"


@pytest.fixture(autouse=True)
def _no_earlier_attempts(db: None) -> Iterator[None]:
    cache.clear()
    yield
    cache.clear()


def said(answer: Any) -> str:
    return answer.content.decode()


def sign_in(client: Client, user: User, password: str = PASSWORD) -> Any:
    return client.post(LOGIN, {"login": user.email, "password": password})


def signed_in(user: User) -> Client:
    """A browser whose person has just given their password once more."""
    client = Client()
    sign_in(client, user)
    client.post("/account/reauthenticate/", {"password": PASSWORD})
    return client


def code(secret: str) -> str:
    """What an authenticator app with this secret shows now."""
    counter = next(iter(yield_hotp_counters_from_time()))
    shown: str = format_hotp_value(hotp_value(secret, counter))
    return shown


ANONYMOUS = {
    LOGIN: "Sign in",
    "/account/signup/": "Accounts come by invitation",
    "/account/password/reset/": "Reset your password",
    "/account/password/reset/done/": "Look into your mail",
    "/account/password/reset/key/done/": "Your password is set",
    "/account/password/reset/key/1-nothing/": "does not work any more",
    "/account/inactive/": "deactivated",
}
OWN = {
    "/account/logout/": "Sign out of Deeploy?",
    "/account/password/change/": "Change your password",
    "/account/2fa/": "Authenticator app",
    "/account/2fa/totp/activate/": "Scan the picture",
    "/account/2fa/webauthn/": "No passkeys yet",
    "/account/2fa/webauthn/add/": "Add a passkey",
    "/account/reauthenticate/": "Is it you?",
    "/account/keys/": "No key pairs yet",
}


@pytest.mark.parametrize("address", ANONYMOUS)
def test_a_page_before_sign_in_is_drawn_in_our_frame(address: str) -> None:
    page = said(Client().get(address))
    assert ANONYMOUS[address] in page
    assert 'class="entrance"' in page
    assert_keeps_to_the_policy(page)


@pytest.mark.parametrize("address", OWN)
def test_an_account_page_is_drawn_in_our_frame(address: str, owner: User) -> None:
    page = said(signed_in(owner).get(address))
    assert OWN[address] in page
    assert "css/accounts.css" in page
    assert_keeps_to_the_policy(page)


def assert_keeps_to_the_policy(page: str) -> None:
    """Scripts come from here with a nonce, or are data; nothing has a style or a handler."""
    for attributes, text in re.findall(r"<script([^>]*)>(.*?)</script>", page, re.DOTALL):
        assert "application/json" in attributes or ("nonce=" in attributes and not text.strip())
    assert not re.search(r"<[^>]+\s(style|on[a-z]+)=", page)


@pytest.mark.parametrize(
    "address",
    [
        "/account/email/",
        "/account/confirm-email/",
        "/account/confirm-email/abc/",
        "/account/password/set/",
        "/account/login/code/confirm/",
        "/account/3rdparty/",
    ],
)
def test_what_is_not_offered_is_not_there(address: str, owner: User) -> None:
    client = Client()
    sign_in(client, owner)
    assert client.get(address).status_code == 404
    assert client.post(address).status_code == 404


def test_nobody_signs_up(db: None) -> None:
    sent = {"email": "me@example.org", "password1": NEW, "password2": NEW}
    assert "Accounts come by invitation" in said(Client().post("/account/signup/", sent))
    assert not User.objects.filter(email="me@example.org").exists()


def test_a_wrong_password_says_so_and_keeps_the_address(owner: User) -> None:
    page = said(sign_in(Client(), owner, "wrong"))
    assert "not correct" in page
    assert f'value="{owner.email}"' in page
    assert "wrong" not in re.findall(r'type="password"[^>]*', page)[0]


def test_too_many_failed_sign_ins_wait(owner: User) -> None:
    client = Client()
    for _ in range(5):
        sign_in(client, owner, "wrong")
    assert "Too many failed login attempts" in said(sign_in(client, owner))
    assert client.get("/account/keys/").status_code == 302


def test_too_many_reset_requests_wait(owner: User) -> None:
    client = Client()
    answers = [client.post("/account/password/reset/", {"email": owner.email}) for _ in range(25)]
    assert answers[-1].status_code == 429
    assert "Too many attempts" in said(answers[-1])


def test_a_forgotten_password_is_reset_by_mail_once(owner: User) -> None:
    client = Client()
    client.post("/account/password/reset/", {"email": owner.email})
    link = re.search(r"http://testserver(/account/password/reset/key/\S+)", mail.outbox[0].body)
    assert link is not None
    form = client.get(link[1], follow=True)
    sent = {"password1": NEW, "password2": NEW}
    assert "Your password is set" in said(
        client.post(form.redirect_chain[-1][0], sent, follow=True)
    )
    assert "does not work any more" in said(Client().get(link[1]))
    assert sign_in(Client(), owner, NEW).status_code == 302


def test_a_stranger_learns_nothing_from_a_reset(owner: User) -> None:
    answer = Client().post("/account/password/reset/", {"email": "nobody@example.org"}, follow=True)
    assert "Look into your mail" in said(answer)
    assert mail.outbox == []


def test_the_deactivated_cannot_sign_in_or_reset(owner: User) -> None:
    User.objects.filter(pk=owner.pk).update(is_active=False)
    client = Client()
    sign_in(client, owner)
    assert client.get("/account/keys/").status_code == 302
    client.post("/account/password/reset/", {"email": owner.email})
    assert mail.outbox == []


def test_a_changed_password_ends_other_sessions(owner: User) -> None:
    here, there = Client(), Client()
    sign_in(here, owner)
    sign_in(there, owner)
    sent = {"oldpassword": PASSWORD, "password1": NEW, "password2": NEW}
    assert here.post("/account/password/change/", sent).status_code == 302
    assert here.get("/account/keys/").status_code == 200
    assert there.get("/account/keys/").status_code == 302


def test_a_second_factor_is_set_up_asked_for_and_turned_off(owner: User) -> None:
    client = signed_in(owner)
    client.post("/account/password/reset/", {"email": owner.email})
    form = client.get("/account/2fa/totp/activate/")
    secret = form.context["form"].secret
    codes = client.post("/account/2fa/totp/activate/", {"code": code(secret)}, follow=True)
    assert "Each lets you in once" in said(codes)
    assert_keeps_to_the_policy(said(codes))
    other = Client()
    assert sign_in(other, owner)["Location"] == "/account/2fa/authenticate/"
    assert other.get("/account/keys/").status_code == 302
    asked = said(other.get("/account/2fa/authenticate/"))
    assert "Second factor" in asked
    assert_keeps_to_the_policy(asked)
    recovery = codes.context["unused_codes"][0]
    assert other.post("/account/2fa/authenticate/", {"code": recovery}).status_code == 302
    assert other.get("/account/keys/").status_code == 200
    assert "Turn the authenticator app off?" in said(client.get("/account/2fa/totp/deactivate/"))
    client.post("/account/2fa/totp/deactivate/")
    assert not owner.authenticator_set.exists()


def test_a_wrong_code_does_not_let_in(owner: User) -> None:
    add_second_factor(owner)
    client = Client()
    sign_in(client, owner)
    assert "Incorrect code" in said(client.post("/account/2fa/authenticate/", {"code": "000000"}))
    assert client.get("/account/keys/").status_code == 302


def test_recovery_codes_are_made_anew(owner: User) -> None:
    client = signed_in(owner)
    secret = client.get("/account/2fa/totp/activate/").context["form"].secret
    client.post("/account/2fa/totp/activate/", {"code": code(secret)})
    before = client.get("/account/2fa/recovery-codes/").context["unused_codes"]
    assert "stop working" in said(client.get("/account/2fa/recovery-codes/generate/"))
    client.post("/account/2fa/recovery-codes/generate/")
    after = client.get("/account/2fa/recovery-codes/")
    assert set(before).isdisjoint(after.context["unused_codes"])
    assert before[0] not in said(after)


def test_a_second_factor_is_not_touched_without_the_password(owner: User) -> None:
    client = Client()
    sign_in(client, owner)
    for address in ("totp/activate", "webauthn/add"):
        answer = client.get(f"/account/2fa/{address}/")
        assert answer["Location"].startswith("/account/reauthenticate/"), address


def test_sign_out_needs_a_post(owner: User) -> None:
    client = Client()
    sign_in(client, owner)
    client.get("/account/logout/")
    assert client.get("/account/keys/").status_code == 200
    client.post("/account/logout/")
    assert client.get("/account/keys/").status_code == 302


def test_how_somebody_signs_in_stands_in_the_record(owner: User) -> None:
    client = Client()
    sign_in(client, owner, "wrong")
    sign_in(client, owner)
    sent = {"oldpassword": PASSWORD, "password1": NEW, "password2": NEW}
    client.post("/account/password/change/", sent)
    client.post("/account/reauthenticate/", {"password": NEW})
    secret = client.get("/account/2fa/totp/activate/").context["form"].secret
    client.post("/account/2fa/totp/activate/", {"code": code(secret)})
    client.post("/account/2fa/totp/deactivate/")
    names = Event.objects.order_by("number").values_list("name", flat=True)
    assert list(names) == [
        "person.sign_in_failed",
        "person.signed_in",
        "person.password_changed",
        "person.factor_added",
        "person.factor_added",
        "person.factor_removed",
        "person.factor_removed",
    ]
    assert secret not in str(list(Event.objects.values()))
    assert all(event.object_id == str(owner.id) for event in Event.objects.all())


def test_a_failed_sign_in_of_nobody_is_not_recorded(db: None) -> None:
    Client().post(LOGIN, {"login": "nobody@example.org", "password": "x"})
    assert not Event.objects.exists()

"""Passkeys with a virtual authenticator: added, signed in with, removed, under our policy."""

import pytest
from playwright.sync_api import Browser, Page

from apps.audit.models import Event
from tests.conftest import PASSWORD
from tests.live import LiveServer

pytestmark = pytest.mark.browser


def with_authenticator(page: Page) -> None:
    """Plugs in a device with a fingerprint reader that always agrees."""
    session = page.context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    session.send("WebAuthn.addVirtualAuthenticator", {"options": options})


def confirm(page: Page) -> None:
    """Says the password again where a page asks for it."""
    if "reauthenticate" in page.url:
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Confirm").click()


def test_a_passkey_is_added_signs_in_and_is_removed(browser: Browser, live: LiveServer) -> None:
    context = browser.new_context(base_url=f"http://localhost:{live.port}")
    page = context.new_page()
    errors: list[str] = []
    page.on("console", lambda m: errors.append(m.text) if m.type == "error" else None)
    with_authenticator(page)
    page.goto("/account/login/")
    page.get_by_label("Email").fill("olga@example.org")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_url(lambda url: "login" not in url)
    errors.clear()

    page.goto("/account/2fa/webauthn/add/")
    confirm(page)
    page.get_by_label("Name").fill("Laptop")
    page.get_by_label("Passwordless").check()
    page.get_by_role("button", name="Add").click()
    page.wait_for_url("**/recovery-codes/**")
    page.goto("/account/2fa/webauthn/")
    assert page.get_by_text("passkey: signs in alone").is_visible()

    page.goto("/account/logout/")
    page.get_by_role("main").get_by_role("button", name="Sign out").click()
    page.goto("/account/login/")
    page.get_by_role("button", name="Sign in with a passkey").click()
    page.wait_for_url(lambda url: "login" not in url)

    page.goto("/account/2fa/webauthn/")
    page.get_by_role("link", name="Remove").click()
    confirm(page)
    page.get_by_role("button", name="Remove Laptop").click()
    page.wait_for_url("**/webauthn/")
    assert page.get_by_text("No passkeys yet").is_visible()
    assert [error for error in errors if "404" not in error] == []
    context.close()
    assert Event.objects.filter(name="person.factor_removed").exists()

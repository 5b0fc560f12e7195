"""Pages of accounts in a browser: accessible, in light and dark, and no wider than a phone."""

import pytest
from playwright.sync_api import Browser, Page, expect

from apps.accounts.models import User
from tests.conftest import PASSWORD
from tests.e2e.test_first_model import violations
from tests.live import LiveServer

pytestmark = pytest.mark.browser

_SIGNED_IN = [
    "/account/keys/",
    "/account/password/change/",
    "/account/2fa/",
    "/account/2fa/totp/activate/",
    "/account/2fa/webauthn/",
    "/account/2fa/webauthn/add/",
    "/account/logout/",
    "/w/retail-credit/members/",
    "/w/retail-credit/settings/",
    "/settings/",
    "/settings/workspaces/",
]
_ANONYMOUS = [
    "/account/login/",
    "/account/signup/",
    "/account/password/reset/",
    "/account/password/reset/done/",
    "/account/password/reset/key/1-nothing/",
]


def check(page: Page, address: str) -> None:
    page.goto(address)
    if "reauthenticate" in page.url:
        assert violations(page) == [], page.url
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Confirm").click()
    page.wait_for_url(f"**{address}")
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert violations(page) == [], f"{address} in {scheme}"
    page.set_viewport_size({"width": 390, "height": 844})
    wider = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert wider <= 0, f"{address} is {wider} pixels too wide"
    page.set_viewport_size({"width": 1440, "height": 900})


def test_pages_of_accounts_are_accessible_and_fit_a_phone(page: Page, bank: User) -> None:
    for address in [*_SIGNED_IN, f"/settings/people/{bank.id}/"]:
        check(page, address)


def test_pages_before_sign_in_are_accessible_and_fit_a_phone(
    browser: Browser, live: LiveServer
) -> None:
    context = browser.new_context(base_url=f"http://127.0.0.1:{live.port}")
    for address in _ANONYMOUS:
        check(context.new_page(), address)
    context.close()


def test_a_key_pair_is_made_and_revoked(page: Page) -> None:
    page.goto("/account/keys/")
    page.get_by_label("Name").fill("Notebook")
    page.get_by_role("button", name="Make the key pair").click()
    expect(page.get_by_text("copy the secret now")).to_be_visible()
    assert violations(page) == []
    page.locator("summary", has_text="Revoke").click()
    page.get_by_role("button", name="Revoke Notebook").click()
    expect(page.get_by_role("table").get_by_text("Revoked")).to_be_visible()

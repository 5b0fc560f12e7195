"""No page shuts anybody out, breaks at a phone's width, or fails on its console."""

import json
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from playwright.sync_api import Browser, Page, expect

from apps.accounts.models import User
from tests.e2e.accessibility import in_every_view
from tests.e2e.bank import furnish
from tests.e2e.routes import pages
from tests.live import LiveServer

pytestmark = [pytest.mark.browser]
# Drawn by Swagger UI, not by us.
FOREIGN = {"api_docs"}


def looked_at(page: Page, addresses: dict[str, str]) -> dict[str, list[str]]:
    """What is wrong, by name of the page."""
    wrong: dict[str, list[str]] = {}
    for name, address in addresses.items():
        page.set_viewport_size({"width": 1440, "height": 900})
        answer = page.goto(address)
        found = in_every_view(page)
        if answer is None or answer.status != 200:
            found.append(f"status {answer and answer.status}")
        if found:
            wrong[f"{name} {address}"] = found
    return wrong


def test_every_page_is_accessible_and_fits(
    page: Page, live: LiveServer, bank: User, model_files: Path, client_for: Any
) -> None:
    deployment, token = furnish(bank, model_files, live)
    walked = pages(client_for(bank))
    # A second factor is not set up here, nobody was invited by mail, and artifacts are no pages.
    # Charts leave as files, of predictions that were explained.
    others = ("mfa_", "account_", "internal_", "explanations:file", "explanations:general_file")
    others += ("monitoring:feedback_file",)
    assert [name for name in walked.unreached if not name.startswith(others)] == []
    own = {name: path for name, path in walked.found.items() if name not in FOREIGN}
    assert len(own) > 15
    wrong = looked_at(page, own)
    assert wrong == {}, json.dumps(wrong, indent=1)
    answer = javascript_of_the_overview(page, deployment.slug, token)
    assert len(answer["predictionLogIds"]) == 1
    page.goto("/api/docs/")
    expect(page.locator(".swagger-ui .title").first).to_contain_text("Deeploy")
    an_ended_session_leads_to_the_sign_in(page, deployment.slug)


def test_every_page_without_an_account_is_accessible_and_fits(
    browser: Browser, live: LiveServer
) -> None:
    context = browser.new_context(base_url=f"http://127.0.0.1:{live.port}")
    page = context.new_page()
    walked = pages(Client())
    assert "account_login" in walked.found
    wrong = looked_at(page, {n: p for n, p in walked.found.items() if n not in FOREIGN})
    wrong |= an_address_that_is_none(page)
    context.close()
    assert wrong == {}, json.dumps(wrong, indent=1)


def an_address_that_is_none(page: Page) -> dict[str, list[str]]:
    page.goto("/w/nowhere/")
    found = in_every_view(page)
    return {"404": found} if found else {}


def javascript_of_the_overview(page: Page, slug: str, token: str) -> Any:
    """Runs the snippet as pasted, where a browser stands in for Node."""
    page.goto(f"/w/retail-credit/deployments/{slug}/")
    snippet = page.locator("#javascript").text_content()
    program = """async ([snippet, token]) => {
      let said;
      const AsyncFunction = (async () => {}).constructor;
      const process = { env: { TOKEN: token } };
      const console = { log: (answer) => { said = answer; } };
      await new AsyncFunction("process", "console", snippet)(process, console);
      return said;
    }"""
    return page.evaluate(program, [snippet, token])


def an_ended_session_leads_to_the_sign_in(page: Page, slug: str) -> None:
    """A fragment that asks again does not fill with the sign-in form."""
    page.goto(f"/w/retail-credit/deployments/{slug}/log/")
    page.context.clear_cookies()
    page.wait_for_url("**/account/login/?next=/w/retail-credit/**", timeout=10_000)

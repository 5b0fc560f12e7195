"""All of it by keyboard, and all that matters without a script."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from apps.accounts.models import User
from apps.deployments import services as deployments
from apps.registry import services as registry
from apps.registry.services import Upload
from tests.conftest import PASSWORD
from tests.live import LiveServer

pytestmark = [pytest.mark.browser]


def has_focus_ring(page: Page) -> bool:
    return bool(
        page.evaluate("parseFloat(getComputedStyle(document.activeElement).outlineWidth) >= 2")
    )


def test_the_keyboard_reaches_everything(page: Page, bank: User, model_files: Path) -> None:
    workspace = bank.memberships.get().workspace
    model = registry.create_model(workspace=workspace, name="City model", by=bank)
    upload = Upload("model.skops", [(model_files / "model.skops").read_bytes()])
    version = registry.add_version(model=model, artifact=upload, by=bank)
    deployments.create_deployment(
        workspace=workspace, name="City risk", model_version=version, by=bank
    )
    page.goto("/w/retail-credit/deployments/city-risk/")

    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    expect(page.get_by_role("link", name="Skip to the content")).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.locator("#content")).to_be_focused()

    search = page.locator("[data-search]")
    if search.count():
        page.keyboard.press("/")
        expect(search).to_be_focused()
        page.keyboard.type("a/b")
        expect(search).to_have_value("a/b")

    tabs = page.get_by_role("tablist", name="Language")
    tabs.get_by_role("tab", name="curl").focus()
    for key, name in (("ArrowRight", "Python"), ("End", "JavaScript"), ("ArrowRight", "curl")):
        page.keyboard.press(key)
        expect(tabs.get_by_role("tab", name=name)).to_be_focused()
        expect(page.get_by_role("tabpanel")).to_have_count(1)
        expect(page.get_by_role("tabpanel", name=name)).to_be_visible()

    page.goto("/w/retail-credit/deployments/city-risk/settings/")
    steps = 0
    while page.evaluate("document.activeElement.dataset.confirmName") is None:
        page.keyboard.press("Tab")
        steps += 1
        assert has_focus_ring(page), page.evaluate("document.activeElement.outerHTML")
        assert steps < 60
    expect(page.get_by_role("button", name="Delete City risk")).to_be_disabled()
    page.keyboard.type("City risk")
    expect(page.get_by_role("button", name="Delete City risk")).to_be_enabled()


def test_from_a_file_to_a_prediction_without_a_script(
    browser: Browser, live: LiveServer, model_files: Path
) -> None:
    context = browser.new_context(
        base_url=f"http://127.0.0.1:{live.port}", java_script_enabled=False
    )
    page = context.new_page()
    page.goto("/account/login/?next=/w/retail-credit/models/new/")
    page.get_by_label("Email").fill("olga@example.org")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.get_by_label("Model file").set_input_files(model_files / "model.skops")
    page.get_by_label("Sample of the training data").set_input_files(model_files / "sample.csv")
    page.get_by_role("button", name="Upload and look inside").click()
    page.get_by_label("Name of the model").fill("City model")
    page.get_by_label("Target column").select_option("outcome")
    page.get_by_role("button", name="Add this version").click()
    page.get_by_role("button", name="Add this version").click()

    page.get_by_role("link", name="Deploy this version").click()
    page.get_by_label("New use case", exact=False).first.fill("Loan origination")
    page.get_by_role("button", name="Go on").click()
    page.get_by_role("button", name="Go on").click()
    page.get_by_role("button", name="Go on").click()
    page.get_by_role("button", name="Go on").click()
    page.get_by_label("Name", exact=True).fill("City risk")
    page.get_by_role("button", name="Review").click()
    page.get_by_role("button", name="Deploy").click()
    for _ in range(80):
        if page.get_by_text("The endpoint answers.").count():
            break
        page.wait_for_timeout(500)
        page.reload()
    page.get_by_role("link", name="Call it").click()
    for panel in ("curl", "python", "javascript"):
        expect(page.locator(f"#{panel}")).to_be_visible()
    page.get_by_role("link", name="Try it").click()
    page.get_by_label("age").fill("44")
    page.get_by_label("city").select_option("Goes")
    page.get_by_role("button", name="Predict").click()
    expect(page.get_by_text("The model says")).to_be_visible()
    context.close()

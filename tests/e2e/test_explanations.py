"""The three questions that an explanation answers, on the demo's credit model, by clicks."""

import subprocess
import sys
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from apps.accounts.models import User, Workspace
from apps.dashboard import demo
from apps.dashboard.demo_models import CREDIT
from apps.deployments import services as deployments
from apps.deployments.models import UseCase
from apps.explanations.models import ExplainerTrial, Explanation
from apps.registry.models import ModelVersion
from tests.e2e.accessibility import violations
from tests.live import ROOT, LiveServer

pytestmark = [pytest.mark.browser]
HOME = "/w/retail-credit/deployments/consumer-credit-risk/"
STARTED_MS, EXPLAINED_MS, MEASURED_MS = 120_000, 60_000, 300_000


@pytest.fixture
def worker(live: LiveServer) -> Iterator[None]:
    process = subprocess.Popen(
        [sys.executable, "manage.py", "qcluster"], cwd=ROOT, env=live.environment
    )
    yield
    process.terminate()
    process.wait(30)


@pytest.fixture
def credit(bank: User) -> None:
    """The demo's first deployment, with its explainers."""
    workspace = Workspace.objects.get(slug="retail-credit")
    use_case = deployments.create_use_case(
        workspace=workspace, name="Loan origination", risk=UseCase.Risk.HIGH, by=bank
    )
    demo.deploy(demo.train(), CREDIT[0], use_case, bank)


def test_the_three_questions_are_answered_by_clicks(credit: None, page: Page, worker: None) -> None:
    page.goto(f"{HOME}progress/")
    expect(page.get_by_text("The endpoint answers.")).to_be_visible(timeout=STARTED_MS)
    page.goto(HOME)
    what_counted_most(page)
    what_would_have_led_to_another_decision(page)
    general_trends(page)


def test_explainers_are_measured_and_previewed_in_the_flow(
    credit: None, page: Page, worker: None
) -> None:
    version = ModelVersion.objects.get()
    said = f"new_use_case=Loans&risk=high&version={version.id}"
    page.goto(f"/w/retail-credit/deployments/new/?step=explainer&{said}")
    page.get_by_label("Rows of it, at most").fill("200")
    page.get_by_role("checkbox", name="SHAP for trees: what").check()
    page.get_by_role("button", name="Measure and preview").click()
    expect(page.get_by_text("What they cost and say")).to_be_visible(timeout=MEASURED_MS)
    measured = page.get_by_role("row", name="shap.tree Tree SHAP")
    expect(measured).to_contain_text("ms")
    expect(page.get_by_role("heading", name="Tree SHAP")).to_be_visible()
    expect(page.get_by_text("the model then says").first).to_be_visible()
    assert page.get_by_label("Rows of it, at most").input_value() == "200"
    assert ExplainerTrial.objects.get().handle == {}
    assert violations(page) == []


def what_counted_most(page: Page) -> None:
    """A case is tried and explained; its sentence and first row name the largest contribution."""
    page.get_by_role("link", name="Try it").click()
    page.get_by_role("button", name="Predict").click()
    page.get_by_role("button", name="Explain now").click()
    expect(page.get_by_role("heading", name="Tree SHAP")).to_be_visible(timeout=EXPLAINED_MS)
    assert violations(page) == []
    page.get_by_role("link", name="Its record").click()
    rows = page.get_by_role("table", name="What led to bad").get_by_role("row")
    parts = Explanation.objects.get(name="shap").content["contributions"]
    most = max(parts, key=lambda part: abs(part["contribution"]))
    sign = "+" if most["contribution"] > 0 else "−"
    expect(rows.nth(2)).to_contain_text(f"{sign}{abs(most['contribution']):.2f}")
    label = rows.nth(2).get_by_role("rowheader").evaluate("e => e.firstChild.textContent")
    expect(page.locator(".lead").first).to_contain_text(label)
    assert violations(page) == []


def what_would_have_led_to_another_decision(page: Page) -> None:
    """The table names changes; the form filled in with them gets the other answer."""
    said = page.locator(".decision").first.inner_text()
    expect(page.get_by_role("heading", name="another decision")).to_be_visible()
    page.get_by_role("link", name="Try this").first.click()
    expect(page.locator("form .note")).to_contain_text("A prediction with")
    page.get_by_role("button", name="Predict").click()
    other = "bad" if "says good" in said else "good"
    expect(page.locator("#answer .decision")).to_contain_text(f"The model says {other}")
    slide(page)


def slide(page: Page) -> None:
    """A slider that moves gives an answer of its own, which is on the record."""
    before = page.get_by_role("link", name="Its record").get_attribute("href") or ""
    page.get_by_label("Predict as I change values").check()
    slider = page.get_by_role("slider", name="Credit amount")
    slider.focus()
    slider.press("End")
    expect(page.get_by_label("Credit amount, DM", exact=True)).to_have_value("15945")
    expect(page.get_by_role("link", name="Its record")).not_to_have_attribute("href", before)
    assert violations(page) == []


def general_trends(page: Page) -> None:
    """The tab is computed on the spot: what counts, and how the answer goes along a feature."""
    page.get_by_role("link", name="Explanations").click()
    compute = page.get_by_role("button", name="Compute now")
    if compute.is_visible():
        compute.click()
    expect(page.get_by_role("heading", name="What moves its answers")).to_be_visible(
        timeout=EXPLAINED_MS
    )
    first = page.get_by_role("table", name="What moves its answers").get_by_role("row").nth(1)
    expect(first).to_contain_text("Checking account")
    longer = page.get_by_role("img", name="Duration from")
    expect(longer).to_be_visible()
    spoken = longer.get_attribute("aria-label") or ""
    short, long = (int(part.rpartition(" ")[2]) for part in spoken.split("\u00a0%")[:2])
    assert short < long
    expect(page.get_by_role("heading", name="What acts together")).to_be_visible()
    assert violations(page) == []

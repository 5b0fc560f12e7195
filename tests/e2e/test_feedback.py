"""A reviewer judges a prediction on its page, sees it in the list, and loses nothing."""

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from apps.accounts.models import User
from apps.feedback.models import Evaluation
from tests.e2e.accessibility import in_every_view
from tests.e2e.bank import furnish
from tests.live import LiveServer

pytestmark = [pytest.mark.browser]


def test_a_prediction_is_evaluated_and_its_actual_told(
    page: Page, live: LiveServer, bank: User, model_files: Path
) -> None:
    deployment, _ = furnish(bank, model_files, live)
    listed = f"/w/retail-credit/deployments/{deployment.slug}/predictions/"
    page.goto(listed)
    page.locator("#rows tbody a").first.click()
    panel = page.locator("#feedback")
    panel.get_by_label("Disagree").check()
    panel.get_by_label("Comment").fill("Income was <b>misread</b>")
    panel.get_by_role("button", name="Evaluate").click()
    expect(panel).to_contain_text("Your evaluation is on the record.")
    expect(panel).to_contain_text("Income was <b>misread</b>")
    panel.get_by_text("Say what turned out").click()
    panel.get_by_label("It turned out to be").fill("1")
    panel.get_by_role("button", name="Record").click()
    expect(panel).to_contain_text("The actual is on the record.")
    assert in_every_view(page) == []
    made = Evaluation.objects.get()
    assert (made.author_name, made.seen_value["mode"]) == ("Olga", "assisted")
    page.goto(f"{listed}?evaluation=disagreed&actual=available")
    expect(page.locator("#rows tbody tr")).to_have_count(1)
    assert in_every_view(page) == []

"""From a file on disk to a recorded prediction, by clicks; and no page that shuts anybody out."""

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.accessibility import violations

pytestmark = [pytest.mark.browser]


def test_a_model_is_uploaded_deployed_tried_and_its_prediction_seen(
    page: Page, model_files: Path
) -> None:
    page.goto("/w/retail-credit/models/")
    page.get_by_role("link", name="Add a model").first.click()
    page.get_by_label("Model file").set_input_files(model_files / "model.skops")
    page.get_by_label("Sample of the training data").set_input_files(model_files / "sample.csv")
    assert violations(page) == []
    page.get_by_role("button", name="Upload and look inside").click()
    page.get_by_label("Name of the model").fill("City model")
    page.get_by_label("Target column").select_option("outcome")
    assert violations(page) == []
    page.get_by_role("button", name="Add this version").click()
    expect(page.get_by_text("made anew without the target")).to_be_visible()
    page.get_by_role("button", name="Add this version").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("City model")
    assert violations(page) == []

    page.get_by_role("link", name="Deploy this version").click()
    page.get_by_label("New use case", exact=False).first.fill("Loan origination")
    page.get_by_label("Risk class of the new use case").select_option("high")
    assert violations(page) == []
    page.get_by_role("button", name="Go on").click()
    page.get_by_role("button", name="Go on").click()
    page.get_by_role("button", name="Go on").click()
    page.get_by_role("button", name="Go on").click()
    page.get_by_label("Name", exact=True).fill("City risk")
    assert violations(page) == []
    page.get_by_role("button", name="Review").click()
    page.get_by_role("button", name="Deploy").click()
    expect(page.get_by_text("The endpoint answers.")).to_be_visible(timeout=40_000)
    assert violations(page) == []

    page.get_by_role("link", name="Call it").click()
    expect(page.locator("h1 + .pill")).to_have_text("Serving")
    assert violations(page) == []

    page.get_by_role("link", name="Try it").click()
    page.get_by_role("spinbutton", name="age").fill("44")
    page.get_by_label("city").select_option("Goes")
    page.get_by_role("button", name="Predict").click()
    expect(page.get_by_text("The model says")).to_be_visible()
    assert violations(page) == []

    page.get_by_role("link", name="Its record").click()
    expect(page.get_by_text("Intact")).to_be_visible()
    expect(page.get_by_role("cell", name="44", exact=True)).to_be_visible()
    assert violations(page) == []

    page.get_by_role("link", name="Predictions", exact=True).click()
    expect(page.locator("#rows tbody tr")).to_have_count(1)
    assert violations(page) == []

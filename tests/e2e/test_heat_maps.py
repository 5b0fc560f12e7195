"""What a model looks at in a picture, in a browser: the maps, their words, their files."""

import json
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect
from sklearn.linear_model import LogisticRegression

from apps.accounts.models import User, Workspace
from apps.deployments import services as deployments
from apps.deployments.models import Revision
from apps.predictions.models import PredictionRecord
from apps.registry import services as registry
from apps.registry.models import ModelVersion
from apps.registry.services import Upload
from tests.e2e.accessibility import in_every_view
from tests.live import ROOT
from tests.predictions.factories import prediction_of

pytestmark = [pytest.mark.browser]
SHOTS = os.environ.get("SCREENSHOTS", "")
CUSTOM = {
    "name": "custom", "method": "custom", "class": None, "seed": None, "backgroundId": None,
    "fidelity": {}, "milliseconds": None,
    "said": {"regions": [{"row": 3, "weight": 0.25}], "note": "two strokes"},
}  # fmt: skip


def explained() -> tuple[list[Any], list[dict[str, Any]]]:
    """A digit, and the integrated gradients and the saliency of a linear model, which are exact."""
    data = np.load(ROOT / "fixtures" / "digits.npz")
    images, labels = data["images"] / 16.0, data["labels"]
    model = LogisticRegression(max_iter=200).fit(images[:800].reshape(800, 64), labels[:800])
    digit = images[1003]
    weights = model.coef_[labels[1003]].reshape(8, 8)
    shared = {
        "class": str(labels[1003]), "unit": "logit", "prediction": 4.2, "seed": 0,
        "output": 0.9, "backgroundId": None, "milliseconds": 3.25,
    }  # fmt: skip
    maps = {"integrated_gradients": weights * digit, "saliency": np.abs(weights)}
    fidelity = {"integrated_gradients": {"additivityError": 0.0001}, "saliency": {}}
    base = {"integrated_gradients": -1.1, "saliency": None}
    return [digit.tolist()], [
        shared
        | {
            "name": method, "method": method, "baseValue": base[method],
            "fidelity": fidelity[method],
            "picture": {"shape": [1, 8, 8], "values": [values.tolist()]},
        }
        for method, values in maps.items()
    ]  # fmt: skip


@pytest.fixture
def record(bank: User) -> PredictionRecord:
    workspace = Workspace.objects.get()
    file = ROOT / "fixtures" / "artifacts" / "digits.onnx"
    version = registry.add_version(
        model=registry.create_model(workspace=workspace, name="Digits", by=bank),
        artifact=Upload(file.name, [file.read_bytes()]),
        by=bank,
    )
    made = deployments.create_deployment(
        workspace=workspace, name="Digits", model_version=version, by=bank
    )
    deployments.set_desired(deployment=made, desired="stopped", by=bank.actor)
    made.revisions.update(state=Revision.State.ACTIVE, state_at=timezone.now())
    found = prediction_of(made)
    digit, told = explained()
    PredictionRecord.objects.filter(id=found.id).update(
        input=json.dumps(digit), explanations=json.dumps([*told, CUSTOM]), outcome=told[0]["class"]
    )
    return found


def shoot(page: Page, name: str) -> None:
    if not SHOTS:
        return
    for width in (1440, 390):
        page.set_viewport_size({"width": width, "height": 900})
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            page.screenshot(path=Path(SHOTS) / f"{name}-{width}-{scheme}.png", full_page=True)


def test_a_picture_is_shown_with_what_counted_in_it(record: PredictionRecord, page: Page) -> None:
    page.goto(f"/w/retail-credit/predictions/{record.id}/")
    maps = page.get_by_role("img", name="Heat map of 8 by 8 places over the input")
    expect(maps).to_have_count(2)
    expect(page.get_by_role("img", name="The input, 8 by 8 places")).to_have_count(2)
    table = page.get_by_role("table", name="The places that count most").first
    expect(table.get_by_role("row")).to_have_count(9)
    spoken = maps.first.get_attribute("aria-label") or ""
    [row], [column] = re.findall(r"row (\d+)", spoken), re.findall(r"column (\d+)", spoken)
    expect(table.get_by_role("rowheader").first).to_have_text(f"{row}, {column}")
    expect(page.get_by_role("table", name="What the explainer answered")).to_contain_text(
        "two strokes"
    )
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV").first.click()
    assert download.value.suggested_filename.endswith("heat.csv")
    with page.expect_download() as drawn:
        page.get_by_role("link", name="dark PNG").first.click()
    assert Path(drawn.value.path()).read_bytes()[:4] == b"\x89PNG"
    assert_figure(page)
    shoot(page, "heat")
    assert in_every_view(page) == []


def assert_figure(page: Page) -> None:
    """A chart opens as a figure that says what stands under the pointer, in the reader's theme;
    the page fails on what the browser's policy refuses."""
    page.get_by_text("Zoom and point").first.click()
    place = page.locator("iframe").first
    frame = place.content_frame
    expect(frame.locator(".main-svg").first).to_be_visible()
    ground = frame.locator(".main-svg").first
    page.emulate_media(color_scheme="dark")
    expect(ground).to_have_css("background-color", "rgb(27, 30, 36)")
    page.emulate_media(color_scheme="light")
    expect(ground).to_have_css("background-color", "rgb(255, 255, 255)")
    place.scroll_into_view_if_needed()
    frame.locator(".nsewdrag").first.hover()
    expect(frame.locator(".hoverlayer")).to_contain_text("input")


@pytest.mark.parametrize(
    "where",
    [
        "new/explainer/",
        "new/?step=explainer&new_use_case=Post&risk=minimal&version={version}",
        "digits/revisions/new/",
    ],
)
def test_the_pages_of_explainers_of_ones_own_look_as_they_should(
    record: PredictionRecord, page: Page, where: str
) -> None:
    version = ModelVersion.objects.get()
    page.goto(f"/w/retail-credit/deployments/{where.format(version=version.id)}")
    if "explainer/" not in where:
        page.get_by_text("An explainer of your own").click()
        expect(page.get_by_label("A module of your own")).to_be_visible()
    expect(page.get_by_text("explain(instances, predict)").first).to_be_visible()
    shoot(page, where.partition("&")[0].strip("/").replace("/", "-").replace("?", "-"))
    assert in_every_view(page) == []

"""Chromium against a real web process; the controller runs beside it in a thread."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from apps.accounts.models import Membership, User, Workspace
from tests.conftest import PASSWORD, make_user
from tests.live import ROOT, LiveServer

_FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]


def _chromium() -> str | None:
    return shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Ends with the last browser test: while it lives, its event loop runs in this thread, and
    no other test could start one."""
    path = _chromium()
    if path is None:
        if os.environ.get("REQUIRE_BROWSER") == "1":
            pytest.fail("Chromium is not installed, and REQUIRE_BROWSER=1 asks for it")
        pytest.skip("Chromium is not installed")
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"  # Playwright's loop runs in this thread.
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=path, args=_FLAGS)
        yield launched
        launched.close()
    del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


@pytest.fixture
def bank(transactional_db: None) -> User:
    """An owner of a workspace, who is also admin."""
    user = make_user("olga", "admin")
    workspace = Workspace.objects.create(name="Retail credit", slug="retail-credit")
    Membership.objects.create(workspace=workspace, user=user, role="owner")
    return user


@pytest.fixture
def live(bank: User) -> Iterator[LiveServer]:
    """Web process and controller."""
    server = LiveServer()
    controller = subprocess.Popen(
        [sys.executable, "manage.py", "controller"],
        cwd=ROOT,
        env=server.environment | {"STOP_REPLICAS_ON_EXIT": "1"},
    )
    try:
        yield server.start()
    finally:
        controller.terminate()
        controller.wait(30)
        server.stop()


@pytest.fixture
def page(browser: Browser, live: LiveServer) -> Iterator[Page]:
    """A signed-in browser page. An error on its console fails the test."""
    context = browser.new_context(base_url=f"http://127.0.0.1:{live.port}")
    opened = context.new_page()
    errors: list[str] = []
    opened.on("console", lambda m: errors.append(m.text) if m.type == "error" else None)
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.goto("/account/login/")
    opened.get_by_label("Email").fill("olga@example.org")
    opened.get_by_label("Password").fill(PASSWORD)
    opened.get_by_role("button", name="Sign in", exact=True).click()
    opened.wait_for_url(lambda url: "login" not in url)
    errors.clear()
    yield opened
    context.close()
    assert errors == []


@pytest.fixture
def model_files(tmp_path: Path) -> Path:
    """A trained pipeline as skops, and the sample that it was trained on."""
    import pandas as pd
    import skops.io
    from sklearn.compose import ColumnTransformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import OneHotEncoder

    frame = pd.DataFrame(
        {
            "age": [23, 41, 35, 52, 29, 60] * 5,
            "city": ["Ede", "Urk", "Ede", "Goes", "Urk", "Goes"] * 5,
            "outcome": [0, 1, 0, 1, 1, 0] * 5,
        }
    )
    encode = ColumnTransformer([("c", OneHotEncoder(), ["city"])], remainder="passthrough")
    model = Pipeline([("encode", encode), ("regress", LogisticRegression())])
    features = frame[["age", "city"]].astype({"city": object})
    model.fit(features, frame["outcome"])
    skops.io.dump(model, tmp_path / "model.skops")
    frame.to_csv(tmp_path / "sample.csv", index=False)
    return tmp_path

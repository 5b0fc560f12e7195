"""Takes the pictures of the README from a running product.

    python tests/screenshots.py [VAR_DIR]

needs `make run` in another terminal; reads its demo.json, writes docs/img.
"""

import json
import shutil
import sys
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
_FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
_SIZES = {"1440": (1440, 900), "390": (390, 844)}


def pages(demo: dict, browser: Browser) -> dict[str, str]:
    """Name and path of the pages to picture; a prediction is made for its page."""
    body = demo["deployments"][0]["exampleInput"]
    context = browser.new_context(base_url=demo["baseUrl"])
    path = "/workspaces/retail-credit/deployments/consumer-credit-risk"
    headers = {"Authorization": f"Bearer {demo['deployments'][0]['token']}"}
    answer = context.request.post(f"{path}/predict", data=body, headers=headers).json()
    context.close()
    deployment = "/w/retail-credit/deployments/consumer-credit-risk"
    return {
        "home": "/",
        "deployments": "/w/retail-credit/deployments/",
        "overview": f"{deployment}/",
        "try": f"{deployment}/try/",
        "predictions": f"{deployment}/predictions/",
        "prediction": f"/w/retail-credit/predictions/{answer['predictionLogIds'][0]}/",
        "revisions": f"{deployment}/revisions/",
        "deploy": "/w/retail-credit/deployments/new/",
        "endpoint": "/w/retail-credit/deployments/new/endpoint/",
        "transformer": "/w/retail-credit/deployments/new/transformer/",
        "environments": "/settings/environments/",
        "revise": f"{deployment}/revisions/new/",
        "upload": "/w/retail-credit/models/new/",
        "git": "/w/retail-credit/models/new/git/",
        "image": "/w/retail-credit/models/new/image/",
        "credentials": "/w/retail-credit/credentials/",
        "variables": "/w/retail-credit/settings/variables/",
        "models": "/w/retail-credit/models/",
        "version": "/w/retail-credit/models/gradient-boosting/1/",
        "audit": "/w/retail-credit/audit/",
    }


def main() -> None:
    var_dir = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "var"
    demo = json.loads((var_dir / "demo.json").read_text())
    target = ROOT / "docs" / "img"
    target.mkdir(parents=True, exist_ok=True)
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=_FLAGS)
        wanted = pages(demo, browser)
        for size, (width, height) in _SIZES.items():
            for scheme in ("light", "dark"):
                context = browser.new_context(
                    base_url=demo["baseUrl"],
                    viewport={"width": width, "height": height},
                    color_scheme=scheme,
                )
                page = context.new_page()
                page.goto("/account/login/")
                page.screenshot(path=target / f"sign-in-{size}-{scheme}.png")
                page.get_by_label("Email").fill(demo["username"])
                page.get_by_label("Password").fill(demo["password"])
                page.get_by_role("button", name="Sign in", exact=True).click()
                page.wait_for_url(lambda url: "login" not in url)
                for name, path in wanted.items():
                    page.goto(path)
                    page.wait_for_load_state("networkidle")
                    page.locator("[data-dismiss]").evaluate_all(
                        "all => all.forEach(b => b.click())"
                    )
                    page.screenshot(path=target / f"{name}-{size}-{scheme}.png")
                context.close()
        browser.close()
    print(f"{len(list(target.glob('*.png')))} pictures in {target.relative_to(ROOT)}")


if __name__ == "__main__":
    main()

"""What axe finds on a page, and what does not fit its width."""

from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Page

_SERIOUS = ("serious", "critical")


def violations(page: Page, *, rules: list[str] | None = None) -> list[str]:
    """Serious and critical violations on the page, with what they concern.

    `rules` looks at these alone: most do not depend on colours or width.
    """
    options = {"resultTypes": ["violations"]}
    if rules is not None:
        options["runOnly"] = rules
    if not page.evaluate("typeof axe !== 'undefined'"):
        page.evaluate(AXE_SCRIPT)
    found = page.evaluate("options => axe.run(options).then(r => r.violations)", options)
    return [
        f"{v['id']}: {', '.join(n['html'][:90] for n in v['nodes'][:3])}"
        for v in found
        if v["impact"] in _SERIOUS
    ]


def in_every_view(page: Page) -> list[str]:
    """Violations at 1440 and 390 pixels, light and dark, and a page wider than its window."""
    found = []
    for width, height in ((1440, 900), (390, 844)):
        page.set_viewport_size({"width": width, "height": height})
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            rules = None if scheme == "light" else ["color-contrast"]
            found += [f"{width} {scheme}: {v}" for v in violations(page, rules=rules)]
        if too_wide := page.evaluate(_TOO_WIDE):
            found.append(f"{width}: wider than the window: {too_wide}")
    return found


_TOO_WIDE = """() => {
  const width = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth <= width) return null;
  const isFar = (e) => e.getBoundingClientRect().right > width + 1
    || (e.scrollWidth > e.clientWidth + 1 && getComputedStyle(e).overflowX === "visible");
  const far = [...document.body.querySelectorAll("*")].filter(isFar);
  return far.slice(-3).map((e) => e.outerHTML.slice(0, 80)).join(" | ") || "?";
}"""

"""Every package that the application installs has a licence that a company may build on."""

import re
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

LOCK = Path(__file__).resolve().parents[2] / "requirements.lock"
ALLOWED = re.compile(
    r"\b(MIT|BSD|0BSD|Apache|PSF|Python Software Foundation|Zlib|CC0|MPL|Mozilla|LGPL)\b|"
    r"License agreement for matplotlib|\bISC\b"
)
REFUSED = re.compile(r"\b(AGPL|Affero|BSL|Business Source|BUSL|SSPL|Commons Clause)", re.IGNORECASE)
GPL = re.compile(r"(?<![LA])\bGPL")
# What their metadata does not say, or says wrongly; read in the files that they install.
READ = {
    "skops": "MIT",  # its LICENSE; the metadata say only that the OSI approved it
    "kiwisolver": "BSD",  # the licence's text stands where its name belongs
    "scikit-image": "BSD",
}


def locked() -> list[str]:
    """The packages that the lock installs on the system at hand."""
    lines = re.findall(r"^([A-Za-z0-9_.-]+==[^\\\n]+)", LOCK.read_text(), re.MULTILINE)
    found = [Requirement(line) for line in lines]
    return [each.name for each in found if each.marker is None or each.marker.evaluate()]


def said(name: str) -> str:
    """What a package's metadata say of its licence: expression, classifiers, first line."""
    found = metadata.metadata(name)
    classifiers = [c for c in found.get_all("Classifier") or [] if c.startswith("License")]
    first = (found.get("License") or "").strip().splitlines()[:1]
    return " | ".join(
        [READ.get(name, ""), found.get("License-Expression") or "", *classifiers, *first]
    )


@pytest.mark.parametrize("name", locked())
def test_a_locked_package_may_be_used(name: str) -> None:
    licence = said(name)
    assert ALLOWED.search(licence), f"{name}: {licence or 'says nothing'}"
    assert not REFUSED.search(licence), f"{name}: {licence}"
    assert not GPL.search(licence) or " OR " in licence, f"{name}: {licence}"


@pytest.mark.parametrize(
    "licence", ["AGPL-3.0-only", "Business Source License 1.1", "BUSL-1.1", "SSPL-1.0"]
)
def test_what_is_refused_is_recognised(licence: str) -> None:
    assert REFUSED.search(licence)

"""The explanations of a request as one picture, and the process that draws them."""

import io
import json
import struct
import subprocess
import sys
from typing import Any

import pytest
from PIL import Image

from apps.explanations.sheets import picture_of
from tests.explanations.conftest import RECORDED
from tests.explanations.told import CASE, METADATA, told
from tests.live import ROOT

SAID = {"name": "custom", "method": "custom", "class": None, "said": {"shap_values": [1, 2, 3]}}
RULES = {
    "name": "rules", "method": "rules", "class": None, "contributions": None,
    "rules": [{"rule": "R1", "text": "", "fired": True, "value": {"age": 41}}],
}  # fmt: skip


def height(rows: list[dict[str, Any]]) -> int:
    found = Image.open(io.BytesIO(picture_of(METADATA, rows, "light")))
    assert found.size[0] == 1280
    return found.size[1]


@pytest.mark.parametrize("content", [*map(told, RECORDED), SAID, RULES], ids=lambda c: c["method"])
def test_every_kind_of_answer_has_a_panel(content: dict[str, Any]) -> None:
    assert height([{"instance": CASE, "explanations": [content]}]) > 100


def test_each_instance_and_method_adds_its_panel() -> None:
    shap, lime = told("shap.tree"), told("lime")
    one = height([{"instance": CASE, "explanations": [shap]}])
    other = height([{"instance": CASE, "explanations": [lime]}])
    both = [{"instance": CASE, "explanations": [shap, lime]}]
    assert abs(height(both * 2) - 2 * (one + other)) <= 4


def test_the_same_explanations_give_the_same_picture() -> None:
    rows = [{"instance": CASE, "explanations": [told("shap.tree")]}]
    assert picture_of(METADATA, rows, "dark") == picture_of(METADATA, rows, "dark")


def test_the_artist_answers_in_turn_and_outlives_what_cannot_be_drawn() -> None:
    shap = {"instance": CASE, "explanations": [told("shap.tree")]}
    good = json.dumps({"metadata": METADATA, "rows": [shap], "theme": "light"}).encode()
    asked = b"".join(struct.pack(">I", len(body)) + body for body in (b"{", good))
    done = subprocess.run(
        [sys.executable, "-m", "apps.explanations.artist"],
        input=asked, capture_output=True, cwd=ROOT, check=True, env={},
    )  # fmt: skip
    first, second = parts(done.stdout)
    assert first.startswith(b"\x00JSONDecodeError")
    assert second[:5] == b"\x01\x89PNG"


def parts(answer: bytes) -> list[bytes]:
    found = []
    while answer:
        (length,) = struct.unpack(">I", answer[:4])
        found.append(answer[4 : 4 + length])
        answer = answer[4 + length :]
    return found

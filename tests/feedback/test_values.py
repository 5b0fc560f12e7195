"""What people and programs may say that a prediction should be, or was."""

import re
from typing import Any

import pytest

from apps.feedback.values import Unfit, read, read_wish

CLASSES = {
    "problemType": "classificationWithProbabilities",
    "predictionClasses": {"good": 0, "bad": 1},
}
NUMBERED = {"problemType": "classificationWithProbabilities"}
NAMED = {"problemType": "classification"}
AMOUNT = {"problemType": "regression"}


@pytest.mark.parametrize(
    ("given", "metadata", "output", "text", "outcome"),
    [
        ({"predictions": [True]}, CLASSES, [0.1, 0.9], "true", "bad"),
        ({"predictions": ["good"]}, CLASSES, [0.1, 0.9], '"good"', "good"),
        (0, CLASSES, [0.1, 0.9], "0", "good"),
        ("1", CLASSES, [0.1, 0.9], '"1"', "bad"),
        (1.0, CLASSES, [0.1, 0.9], "1.0", "bad"),
        (1, NUMBERED, [0.1, 0.9], "1", "1"),
        (True, NUMBERED, [0.1, 0.9], "true", "1"),
        ("Urk", NAMED, "Ede", '"Urk"', "Urk"),
        (3, NAMED, 2, "3", "3"),
        (12.5, AMOUNT, 11.0, "12.5", "12.5"),
        ([12.5], AMOUNT, [11.0], "[12.5]", "[12.5]"),
        (12.5, AMOUNT, [11.0], "12.5", "[12.5]"),
        ({"predictions": [[1, 2]]}, AMOUNT, [3, 4], "[1,2]", "[1,2]"),
        ("free", {}, "text", '"free"', "free"),
        ({"a": 1}, {}, {"a": 2}, '{"a":1}', '{"a":1}'),
    ],
)
def test_a_value_that_fits(given: Any, metadata: Any, output: Any, text: str, outcome: str) -> None:
    value = read(given, metadata, output)
    assert (value.text, value.outcome) == (text, outcome)


@pytest.mark.parametrize(
    ("given", "metadata", "output", "words"),
    [
        (None, CLASSES, [0.1, 0.9], "It is null"),
        ({"predictions": []}, CLASSES, [0.1, 0.9], "not 0"),
        ({"predictions": [0, 1]}, CLASSES, [0.1, 0.9], "not 2"),
        ({"predictions": 1}, CLASSES, [0.1, 0.9], "must be a list"),
        (
            "ugly",
            CLASSES,
            [0.1, 0.9],
            '"ugly" is no class of this model; its classes are good, bad',
        ),
        ([0.1, 0.9], CLASSES, [0.1, 0.9], "is no class"),
        ({"value": 1}, CLASSES, [0.1, 0.9], "is no class"),
        (2, NUMBERED, [0.1, 0.9], "its classes are 0 to 1"),
        ("good", NUMBERED, [0.1, 0.9], "its classes are 0 to 1"),
        ([1], NAMED, 1, "is no class"),
        ("12", AMOUNT, 11.0, '"12" is no number'),
        (True, AMOUNT, 11.0, "true is no number"),
        ([1, 2, 3], AMOUNT, [1, 2], "is no list of 2 numbers"),
        (1, AMOUNT, [1, 2], "is no list of 2 numbers"),
        ("\ud800", NAMED, "a", "no valid Unicode"),
        ("x" * 20_000, NAMED, "a", "at most 10,000"),
    ],
)
def test_a_value_that_does_not_fit_is_told_why(
    given: Any, metadata: Any, output: Any, words: str
) -> None:
    with pytest.raises(Unfit, match=re.escape(words)):
        read(given, metadata, output)


def test_a_desired_output_may_be_an_object_of_the_application() -> None:
    wish = read_wish({"note": "ask again"}, CLASSES, [0.1, 0.9])
    assert wish is not None
    assert (wish.text, wish.outcome) == ('{"note":"ask again"}', None)
    assert read_wish(None, CLASSES, [0.1, 0.9]) is None
    with pytest.raises(Unfit, match="is no class"):
        read_wish({"predictions": ["ugly"]}, CLASSES, [0.1, 0.9])

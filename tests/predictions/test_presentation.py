"""Numbers of a case as people read them."""

import pytest

from apps.predictions.presentation import shown_number
from apps.registry.features import short


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (66807.66, "66,807.66"),
        (1234567.891, "1,234,567.89"),
        (16.79983, "16.7998"),
        (-2500.5, "-2,500.5"),
        (0.1234567, "0.123457"),
        (36.0, "36"),
        (4200000, "4,200,000"),
        (float("inf"), "inf"),
    ],
)
def test_an_amount_keeps_its_cents(value: float, words: str) -> None:
    assert shown_number(value) == words


@pytest.mark.parametrize(
    ("value", "words"), [(66807.66, "66,808"), (12.345, "12.35"), (10.83, "10.83"), (9, "9")]
)
def test_a_range_in_few_digits_never_needs_an_exponent(value: float, words: str) -> None:
    assert short(value) == words

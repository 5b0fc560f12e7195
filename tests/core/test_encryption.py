"""Secrets at rest open with their key and purpose only."""

import pytest

from apps.core.encryption import Undecipherable, decrypt, encrypt


def test_a_secret_opens_for_its_purpose() -> None:
    sealed = encrypt("päss", purpose="credential")
    assert decrypt(sealed, purpose="credential") == "päss"
    assert b"ss" not in sealed


def test_the_same_secret_is_sealed_differently_each_time() -> None:
    assert encrypt("x", purpose="p") != encrypt("x", purpose="p")


def test_a_secret_does_not_open_for_another_purpose() -> None:
    with pytest.raises(Undecipherable):
        decrypt(encrypt("x", purpose="credential"), purpose="variable")


@pytest.mark.parametrize("place", [0, 5, -1])
def test_an_altered_secret_does_not_open(place: int) -> None:
    sealed = bytearray(encrypt("secret", purpose="p"))
    sealed[place] ^= 1
    with pytest.raises(Undecipherable):
        decrypt(bytes(sealed), purpose="p")


def test_another_key_does_not_open_it(settings) -> None:
    sealed = encrypt("secret", purpose="p")
    settings.ENCRYPTION_KEY = "another"
    with pytest.raises(Undecipherable, match="enter it again"):
        decrypt(sealed, purpose="p")

"""Canonical JSON is what the standard library writes, so that a verifier needs nothing else."""

import json

from hypothesis import given
from hypothesis import strategies as st

from apps.core.canonical import canonical

text = st.text(st.characters(exclude_categories=["Cs"]))
leaf = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | text
values = st.recursive(leaf, lambda v: st.lists(v) | st.dictionaries(text, v), max_leaves=20)


@given(values)
def test_canonical_equals_the_standard_library(value: object) -> None:
    expected = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert canonical(value) == expected.encode()

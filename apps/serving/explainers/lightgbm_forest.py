"""The trees of a LightGBM booster, read from the text that it saves of itself.

Decisions are those of the library's `tree.h`: what is missing, what counts as zero, and which
numbers belong to a set of categories.
"""

import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from apps.serving.errors import LoadError
from apps.serving.explainers.forest import Forest, Tree, with_sets

_ZERO = float(np.float32(1e-35))
_CATEGORICAL, _DEFAULT_LEFT = 1, 2
_NO_MISSING, _ZERO_MISSING = 0, 1
_WORD = 32
_OTHERWISE = 2.0**40


@dataclass(frozen=True, slots=True)
class _Saved:
    """Lines of one tree's part of the text, as arrays."""

    lines: dict[str, str]

    def numbers(self, key: str, kind: Any = np.float64) -> np.ndarray:
        return np.array(self.lines.get(key, "").split(), dtype=kind)


def lightgbm_forest(text: str, target: int, classes: int) -> Forest:
    """The trees that answer for one class or output, in the raw score.

    Raises LoadError where trees hold linear models, or treat zero as missing against the order of
    numbers.
    """
    head, *parts = _parts(text)
    per_round = int(_lines(head).get("num_tree_per_iteration", "1"))
    column = target if per_round > 1 else 0
    sign = -1.0 if classes == 2 and per_round == 1 and target == 0 else 1.0
    scale = sign / averaged_rounds(text)
    trees = [_tree(_Saved(_lines(part)), scale) for part in parts[column::per_round]]
    return Forest(trees, 0.0)


def averaged_rounds(text: str) -> int:
    """How many rounds the output is the mean of; 1 where it is their sum."""
    head, *parts = _parts(text)
    if not re.search(r"^average_output$", head, re.M):
        return 1
    return max(len(parts) // int(_lines(head).get("num_tree_per_iteration", "1")), 1)


def categorical_columns(text: str) -> list[int]:
    """The columns whose numbers are codes, as some tree asks for them."""
    found: set[int] = set()
    for part in _parts(text)[1:]:
        saved = _Saved(_lines(part))
        asks = saved.numbers("decision_type", np.int64) & _CATEGORICAL == _CATEGORICAL
        found |= set(saved.numbers("split_feature", np.int64)[asks].tolist())
    return sorted(found)


def as_codes(values: np.ndarray) -> np.ndarray:
    """Numbers as the library takes them for codes: cut to whole ones; what cannot be one is in no
    set, and a missing value stays one."""
    whole = np.trunc(values)
    impossible = (whole < 0) | (whole >= 2.0**31)
    return np.where(np.isnan(values), np.nan, np.where(impossible, _OTHERWISE, np.abs(whole)))


def _parts(text: str) -> list[str]:
    """The head, and the part of each tree."""
    return re.split(r"^Tree=\d+\n", text.partition("\nend of trees")[0], flags=re.M)


def _lines(part: str) -> dict[str, str]:
    pairs = (line.partition("=") for line in part.splitlines())
    return {key: value for key, found, value in pairs if found}


def _tree(saved: _Saved, scale: float) -> Tree:
    """Inner nodes first, then the leaves, which the text names by negative numbers."""
    if saved.lines.get("is_linear", "0") != "0":
        raise LoadError("The trees have linear models in their leaves; ask shap.permutation")
    values = saved.numbers("leaf_value") * scale
    inner, leaves = len(values) - 1, len(values)
    nothing = np.full(leaves, -1)
    kinds = saved.numbers("decision_type", np.int64)
    left, right = (_children(saved, key, inner) for key in ("left_child", "right_child"))
    threshold = saved.numbers("threshold")
    sets = {int(at): _set(saved, int(threshold[at])) for at in np.flatnonzero(kinds & _CATEGORICAL)}
    goes_left = np.zeros(inner, dtype=bool)
    for at in range(inner):
        if at not in sets:
            goes_left[at], threshold[at] = _missing(int(kinds[at]), float(threshold[at]))
    counts = np.concatenate((saved.numbers("internal_count"), saved.numbers("leaf_count")))
    tree = Tree(
        np.concatenate((left, nothing)),
        np.concatenate((right, nothing)),
        np.concatenate((np.where(goes_left, left, right), nothing)),
        np.concatenate((saved.numbers("split_feature", np.int64), nothing)),
        np.concatenate((threshold, np.zeros(leaves))),
        np.concatenate((np.zeros(inner), values)),
        np.maximum(counts, 1.0) if len(counts) == inner + leaves else np.ones(inner + leaves),
    )
    return with_sets(tree, sets) if sets else tree


def _children(saved: _Saved, key: str, inner: int) -> np.ndarray:
    given = saved.numbers(key, np.int64)
    return np.where(given < 0, inner + ~given, given)[:inner]


def _set(saved: _Saved, at: int) -> np.ndarray:
    """Which codes go left; the last place stands for all greater ones, which never do."""
    bounds = saved.numbers("cat_boundaries", np.int64)
    words = saved.numbers("cat_threshold", np.uint32)[bounds[at] : bounds[at + 1]]
    codes = np.arange(len(words) * _WORD)
    bits = words[codes // _WORD] >> (codes % _WORD).astype(np.uint32) & 1
    return np.append(bits == 1, False)


def _missing(kind: int, threshold: float) -> tuple[bool, float]:
    """Whether a missing value goes left, and the threshold that keeps zeros with it."""
    default_left = bool(kind & _DEFAULT_LEFT)
    treated = kind >> 2 & 3
    if treated == _NO_MISSING:
        return threshold >= 0.0, threshold
    if treated == _ZERO_MISSING:
        if default_left and threshold < _ZERO:
            raise LoadError(_ZEROS)
        if not default_left and threshold >= -_ZERO:
            if threshold > -_ZERO:
                raise LoadError(_ZEROS)
            threshold = float(np.nextafter(threshold, -np.inf))
    return default_left, threshold


_ZEROS = (
    "The trees take zero for missing and send it against the order of numbers, which cannot be "
    "read as thresholds; ask shap.native or shap.permutation, or train without zero_as_missing"
)

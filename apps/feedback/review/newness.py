"""Which cases are unlike the reference data of the model that judged them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from apps.feedback.review.causes import Cause
from apps.feedback.review.subjects import Model, Subject, as_number
from apps.feedback.review.wording import percent
from apps.feedback.statistics.novelty import NEAREST, Novelty, Reference, novelty, reference_of
from apps.registry import storage
from apps.registry.models import ModelVersion
from apps.registry.samples import read_sample

_ROWS = 1_000
_SEED = 20
_NAMED = 3
_CATEGORIES = ("category", "text", "boolean")


@dataclass(frozen=True, slots=True)
class Newness:
    """`percentile`: the share of the reference rows that a new case is more apart than."""

    reference: Reference
    model: Model
    percentile: float

    def causes(self, subjects: Sequence[Subject]) -> list[Cause | None]:
        """For every subject why it is new; None where it is not."""
        found = novelty(self.reference, self._columns(subjects))
        return [self._cause(each) for each in found]

    def _columns(self, subjects: Sequence[Subject]) -> dict[str, list[Any]]:
        numbers = {
            n: [as_number(s.values.get(n)) for s in subjects] for n in self.reference.numbers
        }
        words = {n: [s.values.get(n) for s in subjects] for n in self.reference.categories}
        return numbers | words

    def _cause(self, found: Novelty) -> Cause | None:
        if found.percentile < self.percentile:
            return None
        named = [self.model.label(name) for name in (*found.unseen, *found.outside)][:_NAMED]
        words = f"It is farther from the reference data than {percent(found.percentile)} of it"
        if named:
            words += f", above all in {', '.join(named)}"
        return Cause("new", words, 1 + found.percentile)


def newness_of(version: ModelVersion, model: Model, percentile: float) -> Newness | None:
    """None where the version has too little reference data, or none of its features."""
    reference = getattr(version, "reference", None)
    if reference is None:
        return None
    typed = tuple(n for n, f in model.features.items() if f.get("type") in _CATEGORIES)
    artifact = reference.artifact
    made = _reference(artifact.sha256, artifact.filename, tuple(model.features), typed)
    return Newness(made, model, percentile) if made else None


@lru_cache(maxsize=4)
def _reference(
    sha256: str, filename: str, names: tuple[str, ...], typed: tuple[str, ...]
) -> Reference | None:
    """At most 1,000 rows of a sample, the same ones each time; `typed` names its categories, and
    what holds other than numbers is one as well."""
    frame = read_sample(storage.path_of(sha256), filename)
    if len(frame) > _ROWS:
        frame = frame.sample(_ROWS, random_state=np.random.RandomState(_SEED))
    words = {
        name
        for name in names
        if name in frame and (name in typed or not pd.api.types.is_numeric_dtype(frame[name]))
    }
    columns = {n: _plain(frame[n], n not in words) for n in names if n in frame}
    if not columns or len(frame) <= NEAREST:
        return None
    return reference_of(columns, words)


def _plain(column: pd.Series, is_number: bool) -> list[Any]:
    values = [None if pd.isna(each) else each for each in column]
    return [as_number(each) for each in values] if is_number else values

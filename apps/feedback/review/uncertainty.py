"""Which cases a model is unsure of: by conformal sets calibrated on what turned out to be true.

For classes a case is uncertain where its set holds any other number of classes than one, for
numbers where its interval holds the value at which the decision turns. Where too few actuals are
known, a probability below 1 - alpha counts as uncertain instead, and the words say so.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import numpy as np

from apps.deployments.models import Deployment
from apps.feedback.models import Actual
from apps.feedback.review.causes import Cause
from apps.feedback.review.subjects import FIELDS, Model, Subject, subject_of
from apps.feedback.review.wording import percent
from apps.feedback.statistics.conformal import (
    ClassCalibration,
    NumberCalibration,
    calibrate_classes,
    calibrate_numbers,
    cases_needed,
    class_uncertainty,
    number_uncertainty,
)
from apps.predictions.models import PredictionRecord

NEWEST = 2_000
_FEWEST = 50
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Uncertainty:
    """How a revision's uncertain cases are found; `n` actuals calibrated it, where it is."""

    alpha: float
    n: int
    wanted: int
    classes: ClassCalibration | None = None
    numbers: NumberCalibration | None = None
    turns_at: float | None = None

    @property
    def is_calibrated(self) -> bool:
        return self.classes is not None or self.numbers is not None

    def causes(self, subjects: Sequence[Subject]) -> list[Cause | None]:
        """For every subject why it is uncertain; None where it is not."""
        if self.numbers is not None and self.turns_at is not None:
            return self._by_interval(subjects, self.numbers, self.turns_at)
        if self.classes is not None:
            return self._by_set(subjects, self.classes)
        return [self._by_probability(each) for each in subjects]

    def _by_set(self, subjects: Sequence[Subject], known: ClassCalibration) -> list[Cause | None]:
        count = len(known.classes)
        fit = [len(each.probabilities or ()) == count for each in subjects]
        rows = [each.probabilities for each, ok in zip(subjects, fit, strict=True) if ok]
        if not rows:
            return [self._by_probability(each) for each in subjects]
        given = np.array(rows, dtype=np.float64)
        sets = known.sets(given)
        places = zip(sets, class_uncertainty(sets, given) / (count + 0.5), strict=True)
        return [
            self._of_set(known, *next(places)) if ok else self._by_probability(each)
            for each, ok in zip(subjects, fit, strict=True)
        ]

    def _of_set(
        self, known: ClassCalibration, held: np.ndarray, uncertainty: float
    ) -> Cause | None:
        names = [str(name) for name, is_in in zip(known.classes, held, strict=True) if is_in]
        if len(names) == 1:
            return None
        sure = f"with {percent(1 - self.alpha)} certainty"
        shown = ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")
        words = f"It may be any of {shown} {sure}" if names else f"No class fits it {sure}"
        return Cause("uncertain", words, 1 + float(uncertainty))

    def _by_interval(
        self, subjects: Sequence[Subject], known: NumberCalibration, turns_at: float
    ) -> list[Cause | None]:
        given = [each.number for each in subjects]
        low, high = known.intervals([math.nan if n is None else n for n in given])
        inside = number_uncertainty(low, high, turns_at)
        return [
            _of_interval(float(a), float(b), float(depth), turns_at)
            for a, b, depth in zip(low, high, inside, strict=True)
        ]

    def _by_probability(self, each: Subject) -> Cause | None:
        if each.score is None or each.score >= 1 - self.alpha:
            return None
        words = f"Its probability is {each.score:.2f}, below {1 - self.alpha:g}"
        if not self.is_calibrated:
            words += f"; {self.n:,} of {self.wanted:,} actuals are known that calibrate it"
        return Cause("uncertain", words, 2 - each.score)


def uncertainty_of(
    deployment: Deployment,
    revision_id: UUID | None,
    model: Model,
    alpha: float,
    turns_at: float | None,
) -> Uncertainty:
    """Calibrated on the newest actuals of a revision's predictions, 2,000 at most."""
    wanted = max(_FEWEST, cases_needed(alpha))
    pairs = _pairs(deployment, revision_id, model)
    if model.gives_numbers:
        numbers = [(s.number, _float(actual)) for s, actual in pairs]
        both = [(a, b) for a, b in numbers if a is not None and b is not None]
        if len(both) < wanted:
            return Uncertainty(alpha, len(both), wanted, turns_at=turns_at)
        found = calibrate_numbers([a for a, _ in both], [b for _, b in both], alpha)
        return Uncertainty(alpha, len(both), wanted, numbers=found, turns_at=turns_at)
    count = max((len(s.probabilities) for s, _ in pairs if s.probabilities), default=0)
    names = model.names(count)
    rows = [
        (s.probabilities, actual)
        for s, actual in pairs
        if s.probabilities and len(s.probabilities) == count and actual in names
    ]
    if len(rows) < wanted:
        return Uncertainty(alpha, len(rows), wanted)
    given = [probabilities for probabilities, _ in rows]
    sets = calibrate_classes(given, [actual for _, actual in rows], names, alpha)
    return Uncertainty(alpha, len(rows), wanted, classes=sets)


def _pairs(
    deployment: Deployment, revision_id: UUID | None, model: Model
) -> list[tuple[Subject, str]]:
    """The newest predictions of a revision of which the actual is known, each with it."""
    known = Actual.objects.filter(deployment=deployment, is_current=True, erased_at=None)
    newest = known.order_by("-prediction_id").values_list("prediction_id", "outcome")[:NEWEST]
    actuals = {identifier: outcome for identifier, outcome in newest if outcome is not None}
    records = PredictionRecord.objects.filter(
        id__in=actuals, revision=revision_id, salt__isnull=False
    ).only(*FIELDS)
    return [(subject_of(record, model), actuals[record.id]) for record in records]


def _of_interval(low: float, high: float, depth: float, turns_at: float) -> Cause | None:
    if math.isnan(depth) or depth < 0 or high <= low:
        return None
    words = f"It lies between {low:,.6g} and {high:,.6g}; the decision turns at {turns_at:,.6g}"
    return Cause("uncertain", words, 1 + min(1.0, 2 * depth / (high - low)))


def _float(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None

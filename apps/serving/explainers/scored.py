"""What a model says of rows, one by one: those with named values, and those taken as they are."""

from dataclasses import dataclass
from typing import Any

import pandas as pd

from apps.serving.explainers.tabular import said


@dataclass(frozen=True, slots=True)
class Scored:
    """A row's answer as served, and its score in the unit of the `subject`, whose target is the
    explained class."""

    subject: Any
    score: float
    output: Any


def scored_by_name(subject: Any, frame: pd.DataFrame) -> list[Scored]:
    """Of each row of features."""
    found: dict[int, Scored] = {}
    for towards, positions in subject.by_target(frame):
        told = said(towards, frame.iloc[positions].reset_index(drop=True))
        for place, at in enumerate(positions.tolist()):
            found[at] = Scored(towards, float(told.scores[place]), told.answers[place])
    return [found[at] for at in range(len(frame))]


def scored_as_given(subject: Any, instances: list[Any]) -> list[Scored]:
    """Of each instance as the model's server gets it. Raises BadRequest where one is none."""
    subject.check(instances)
    prepared = subject.prepared_as_given(instances)
    outputs, raw = subject.answers_of(prepared), subject.raw_of(prepared)
    found = []
    for row, output in enumerate(outputs):
        target = subject.target
        towards = subject.towards(int(raw[row].argmax()) if target is None else target)
        found.append(Scored(towards, float(towards.pick(raw[row : row + 1])[0]), output))
    return found

"""Global explanations over the background: which features count most, alone and together, and
curves of them; and what a method costs."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from apps.serving.cost import cost
from apps.serving.errors import BadRequest
from apps.serving.explainers import dependence
from apps.serving.explainers.importance import contribution_importance, permutation_importance
from apps.serving.explainers.interactions import interactions
from apps.serving.explainers.tabular import Asked, Tabular, unit_of_outputs
from apps.serving.explaining import Explanations, Job

_PERMUTATION = "permutation"
_IMPORTANCE_ROWS, _CURVE_ROWS = 500, 100
_MOST_CURVES = 60
_PAIR_ROWS, _MOST_TOGETHER = 40, 12

Asking = dict[str, Any]


def summarised(explanations: Explanations, asked: Asking, job: Job) -> dict[str, Any]:
    """The answer to one `:summarise`. Raises BadRequest, ModelFailure or BudgetExceeded."""
    method = asked.get("method")
    if method not in _SUMMARIES:
        raise BadRequest(f'"method" must be one of {", ".join(_SUMMARIES)}')
    content = _SUMMARIES[method](explanations, asked, job)
    background = explanations.background
    return {
        "method": method,
        **content,
        "seed": explanations.explaining.seed,
        "backgroundId": background.id if background else None,
        "budget": {"seconds": asked.get("seconds"), "modelRows": job.budget.used_rows}
        if job.budget
        else None,
    }


def _importance(explanations: Explanations, asked: Asking, job: Job) -> dict[str, Any]:
    """By permutation, or as the mean absolute contribution of the explainer that `by` names."""
    by = asked.get("by") or _PERMUTATION
    frame, truth = explanations.rows(asked.get("rows"), _IMPORTANCE_ROWS)
    seed, subject = explanations.explaining.seed, explanations.subject
    if by == _PERMUTATION:
        repeats = asked.get("repeats", 5)
        if type(repeats) is not int or not 1 <= repeats <= 100:
            raise BadRequest('"repeats" must be a whole number from 1 to 100')
        found = permutation_importance(
            subject,
            frame,
            truth,
            job.allowance(),
            repeats=repeats,
            seed=seed,
            measure=str(asked.get("measure") or ""),
        )
        unit = found.measure
    else:
        [name] = explanations.names([by])
        found = contribution_importance(
            _contributions(explanations, name, job), frame, subject.names, seed=seed
        )
        unit = subject.unit
    known = by == _PERMUTATION and truth is not None
    return {"by": by, "unit": unit, "truthKnown": known, "importance": found.as_json()}


def _contributions(
    explanations: Explanations, name: str, job: Job
) -> Callable[[pd.DataFrame], np.ndarray]:
    def of(frame: pd.DataFrame) -> np.ndarray:
        instances = explanations.subject.instances(frame)
        answers = explanations.explained(instances, [name], job)
        rows = [answer[0].get("contributions") for answer in answers]
        if any(row is None for row in rows):
            raise BadRequest(f"{name} gives no contributions; choose a method that does")
        return np.array([[each["contribution"] for each in row or ()] for row in rows])

    return of


def _curves(explanations: Explanations, asked: Asking, job: Job) -> dict[str, Any]:
    """Average and individual curves of features, and of pairs of them."""
    subject, background = explanations.subject, explanations.background
    if background is None or not subject.features:
        raise BadRequest("This explainer has no background; add reference data to the version")
    frame, _ = explanations.rows(asked.get("rows"), _CURVE_ROWS)
    keys = ("features", "points", "pairPoints", "percentiles")
    settings = {key: asked[key] for key in keys if asked.get(key) is not None}
    if isinstance(settings.get("percentiles"), list):
        settings["percentiles"] = tuple(settings["percentiles"])
    curves = dependence.PartialDependence(subject, settings, explanations.explaining.seed)
    if len(curves.chosen) > _MOST_CURVES:
        text = f"At most {_MOST_CURVES} curves at once; name the features that matter"
        raise BadRequest(text)
    Tabular.fit(curves, background)
    ask = Asked(subject, curves.coding, job.allowance())
    rows = curves.coding.codes(frame)
    drawn = []
    for at in curves.chosen:
        grid = dependence._grids(curves.coding, curves.codes, at, curves.options)
        whole = dependence.curve(ask, rows, at, grid)
        drawn += [_drawn(curves, whole, target) for target in _targets(subject)]
    return {"unit": unit_of_outputs(subject), "rows": len(frame), "curves": drawn}


def _interactions(explanations: Explanations, asked: Asking, job: Job) -> dict[str, Any]:
    """Of all pairs of the features named, at most _MOST_TOGETHER."""
    frame, _ = explanations.rows(asked.get("rows"), _PAIR_ROWS)
    features = asked.get("features") or explanations.subject.names[:_MOST_TOGETHER]
    if not isinstance(features, list) or len(features) > _MOST_TOGETHER:
        raise BadRequest(f'"features" must be a list of at most {_MOST_TOGETHER} names')
    return interactions(explanations.subject, frame, features, job.allowance()).as_json()


def _targets(subject: Any) -> list[int]:
    """The explained class, or every one where none is fixed."""
    return [subject.target] if subject.target is not None else list(range(len(subject.classes)))


def _drawn(
    curves: dependence.PartialDependence, whole: dependence.Curve, target: int
) -> dict[str, Any]:
    coding, subject = curves.coding, curves.subject
    grids = [
        [coding.value(at, code) for code in grid]
        for at, grid in zip(whole.at, whole.grid, strict=True)
    ]
    alone = len(grids) == 1
    return {
        "features": [coding.names[at] for at in whole.at],
        "class": subject.classes[target] if subject.classes else None,
        "grid": grids[0] if alone else grids,
        "average": whole.average(target).tolist(),
        "individual": whole.individual(target).tolist() if alone else None,
    }


_SUMMARIES: dict[str, Callable[[Explanations, Asking, Job], dict[str, Any]]] = {
    "importance": _importance,
    "partial_dependence": _curves,
    "interactions": _interactions,
    "cost": cost,
}

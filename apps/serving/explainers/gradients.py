"""Integrated gradients and saliency of PyTorch and TensorFlow models.

Sundararajan, Taly, Yan, "Axiomatic attribution for deep networks", ICML 2017; Simonyan, Vedaldi,
Zisserman, "Deep inside convolutional networks", ICLR Workshop 2014. The loaded model gives its
gradients; the path is the same for both libraries.
"""

from typing import Any, ClassVar

import numpy as np

from apps.serving.errors import BadRequest, ModelFailure
from apps.serving.explainers.base import Background, Budget
from apps.serving.explainers.pictures import PictureExplainer

_FIRST_STEPS, _MOST_STEPS, _CHUNK = 32, 4096, 256


def _why_not(subject: Any) -> str:
    if getattr(subject.model, "slopes", None) is None:
        return "Gradients are those of PyTorch and TensorFlow models"
    return "" if subject.one_input else "The model must take one tensor of fractions"


class IntegratedGradientsExplainer(PictureExplainer):
    """The gradients along the straight way from a baseline to the input, times its length.

    `baseline` is a number for all places, or "mean": the background's, which is the default where
    the model takes named features. The steps are doubled until the sum is the score's distance
    from the baseline's within `tolerance`, relative to scores above one; what never comes so near
    is not given.
    """

    method: ClassVar[str] = "integrated_gradients"
    defaults: ClassVar[dict[str, Any]] = {"baseline": None, "tolerance": 0.005}

    @classmethod
    def suits(cls, subject: Any, background: Background | None) -> str:
        return _why_not(subject)

    def fit(self, background: Background | None) -> None:
        super().fit(background)
        wanted = self.settings["baseline"]
        if wanted is None:
            wanted = "mean" if self.subject.features and background is not None else 0.0
        self.baseline = wanted
        if wanted == "mean":
            if background is None or not self.subject.features:
                raise BadRequest("The mean is that of named features; give a number as baseline")
            self.baseline = background.frame.to_numpy(dtype=np.float64).mean(axis=0)
        elif not isinstance(wanted, int | float):
            raise BadRequest('baseline must be a number, or "mean"')

    def values(
        self, subject: Any, instance: Any, budget: Budget
    ) -> tuple[np.ndarray, float | None, dict[str, Any]]:
        given = subject.tensor([instance])
        start = np.broadcast_to(np.asarray(self.baseline, dtype=given.dtype), given.shape).copy()
        base, score = (float(subject.raw_tensor(x)[0, subject.target or 0]) for x in (start, given))
        steps, allowed = _FIRST_STEPS, float(self.settings["tolerance"])
        while True:
            found = _path(subject, start, given, steps, budget)
            error = abs(base + float(found.sum()) - score) / max(1.0, abs(score))
            if error <= allowed:
                break
            if steps >= _MOST_STEPS:
                raise ModelFailure(
                    f"The integrated gradients do not add up: after {steps} steps the sum misses "
                    f"the score by {error:.2g}, and {allowed:g} is allowed. They are not given"
                )
            steps *= 2
        return found[0], base, {"additivityError": error, "tolerance": allowed, "steps": steps}


def _path(
    subject: Any, start: np.ndarray, end: np.ndarray, steps: int, budget: Budget
) -> np.ndarray:
    """The integral along the way by Gauss and Legendre's places, (1, …) in double precision."""
    places, weights = np.polynomial.legendre.leggauss(steps)
    total = np.zeros(end.shape)
    sides = (-1,) + (1,) * (end.ndim - 1)
    for at in range(0, steps, _CHUNK):
        part = ((places[at : at + _CHUNK] + 1) / 2).reshape(sides).astype(end.dtype)
        budget.spend(len(part))
        slopes = subject.slopes(start + part * (end - start)).astype(np.float64)
        total += (slopes * (weights[at : at + _CHUNK] / 2).reshape(sides)).sum(axis=0)
    return np.asarray(total * (end.astype(np.float64) - start))


class SaliencyExplainer(PictureExplainer):
    """How steeply the score changes with each place, without a sign. It adds up to nothing."""

    method: ClassVar[str] = "saliency"

    @classmethod
    def suits(cls, subject: Any, background: Background | None) -> str:
        return _why_not(subject)

    def values(
        self, subject: Any, instance: Any, budget: Budget
    ) -> tuple[np.ndarray, float | None, dict[str, Any]]:
        budget.spend(1)
        return np.abs(subject.slopes(subject.tensor([instance]))[0]), None, {}

"""Occlusion: what the score loses when a patch of the picture is covered, for any model.

Zeiler, Fergus, "Visualizing and understanding convolutional networks", ECCV 2014.
"""

from typing import Any, ClassVar

import numpy as np

from apps.serving.errors import BadRequest
from apps.serving.explainers.base import Background, Budget
from apps.serving.explainers.contributions import whole_number
from apps.serving.explainers.pictures import PictureExplainer
from apps.serving.explainers.subject import Subject

_MOST_CHANNELS = 4
_CHUNK = 64


class OcclusionExplainer(PictureExplainer):
    """Each place's value is the mean loss over the patches that cover it.

    `patch` is the side of a patch (0: a seventh of the picture's shorter side), `stride` the way
    from one to the next (0: half a patch), `cover` the number that is put there.
    """

    method: ClassVar[str] = "occlusion"
    defaults: ClassVar[dict[str, Any]] = {"patch": 0, "stride": 0, "cover": 0.0}

    def __init__(self, subject: Subject, settings: dict[str, Any], seed: int) -> None:
        super().__init__(subject, settings, seed)
        for name in ("patch", "stride"):
            whole_number(self.settings, name, 0, 10_000)
        if not isinstance(self.settings["cover"], int | float):
            raise BadRequest("cover must be a number")

    @classmethod
    def suits(cls, subject: Subject, background: Background | None) -> str:
        return "The model takes named features, not pictures" if subject.features else ""

    def values(
        self, subject: Subject, instance: Any, budget: Budget
    ) -> tuple[np.ndarray, float | None, dict[str, Any]]:
        picture = _array(instance)
        high, wide = _sides(picture)
        shorter = min(picture.shape[high], picture.shape[wide])
        patch = min(self.settings["patch"] or max(1, round(shorter / 7)), shorter)
        stride = self.settings["stride"] or max(1, patch // 2)
        whole = float(subject.pick(subject.raw_of([instance]))[0])
        places = [
            (top, left)
            for top in _starts(picture.shape[high], patch, stride)
            for left in _starts(picture.shape[wide], patch, stride)
        ]
        losses = np.zeros((picture.shape[high], picture.shape[wide]))
        counts = np.zeros_like(losses)
        for at in range(0, len(places), _CHUNK):
            part = places[at : at + _CHUNK]
            covered = [self._covered(picture, high, wide, place, patch) for place in part]
            budget.spend(len(part))
            scores = subject.pick(subject.raw_of(covered))
            for (top, left), score in zip(part, scores, strict=True):
                losses[top : top + patch, left : left + patch] += whole - score
                counts[top : top + patch, left : left + patch] += 1
        fidelity = {"patch": patch, "stride": stride, "patches": len(places)}
        return losses / counts, None, fidelity

    def _covered(
        self, picture: np.ndarray, high: int, wide: int, place: tuple[int, int], patch: int
    ) -> Any:
        covered = picture.copy()
        where = [slice(None)] * picture.ndim
        where[high] = slice(place[0], place[0] + patch)
        where[wide] = slice(place[1], place[1] + patch)
        covered[tuple(where)] = self.settings["cover"]
        return covered.tolist()


def _array(instance: Any) -> np.ndarray:
    try:
        picture = np.asarray(instance)
    except ValueError:
        raise BadRequest("The picture's rows have different lengths") from None
    if picture.dtype.kind not in "biuf" or picture.ndim not in (2, 3):
        raise BadRequest("A picture is a table of numbers, or one per channel")
    return picture


def _sides(picture: np.ndarray) -> tuple[int, int]:
    """The axes of height and width: channels come first or last, whichever is short."""
    if picture.ndim == 2:
        return 0, 1
    first, last = picture.shape[0], picture.shape[2]
    return (1, 2) if first <= _MOST_CHANNELS and first < last else (0, 1)


def _starts(length: int, patch: int, stride: int) -> list[int]:
    """Where patches begin, so that they cover all of a side."""
    starts = list(range(0, length - patch + 1, stride))
    return starts if starts[-1] == length - patch else [*starts, length - patch]

"""Occlusion shows where the score comes from, for any model of pictures."""

from typing import Any

import numpy as np
import pytest

from apps.serving.errors import BadRequest
from apps.serving.explainers.base import Budget, BudgetExceeded
from apps.serving.explainers.occlusion import OcclusionExplainer
from apps.serving.explainers.subject import Subject, subject_of
from tests.serving.explainers.contract import as_bytes, explained


class Corner:
    """Answers with the sum of the upper left corner, of one channel where there are several."""

    advice = ""
    native = None

    def __init__(self, channels: str = "") -> None:
        self.channels = channels

    def predict(self, instances: list[Any]) -> list[Any]:
        pictures = np.asarray(instances, dtype=float)
        if self.channels == "first":
            pictures = pictures[:, 0]
        if self.channels == "last":
            pictures = pictures[..., 0]
        return list(pictures[:, :2, :2].sum(axis=(1, 2)).tolist())

    def describe(self) -> dict[str, Any]:
        return {"framework": "stone"}


def subject(channels: str = "") -> Subject:
    return subject_of(Corner(channels), {"problemType": "regression"})


@pytest.mark.parametrize(
    ("channels", "shape"), [("", (6, 8)), ("first", (3, 6, 8)), ("last", (6, 8, 3))]
)
def test_only_the_corner_counts(channels: str, shape: tuple[int, ...]) -> None:
    explainer = OcclusionExplainer(subject(channels), {"patch": 2, "stride": 2}, 7)
    answer = explained(explainer, [np.ones(shape).tolist()])[0]
    expected = np.zeros((6, 8))
    expected[:2, :2] = 4.0
    np.testing.assert_array_equal(answer["picture"]["values"], expected)
    assert answer["prediction"] == answer["output"] == 4.0
    assert answer["fidelity"]["patches"] == 12


def test_patches_reach_every_edge() -> None:
    explainer = OcclusionExplainer(subject(), {"patch": 4, "stride": 3}, 7)
    answer = explained(explainer, [np.ones((6, 9)).tolist()])[0]
    assert np.isfinite(answer["picture"]["values"]).all()
    assert answer["fidelity"]["patches"] == 2 * 3


def test_what_is_put_over_a_patch_can_be_chosen() -> None:
    explainer = OcclusionExplainer(subject(), {"patch": 2, "stride": 2, "cover": 1.0}, 7)
    answer = explained(explainer, [np.ones((4, 4)).tolist()])[0]
    assert not np.any(answer["picture"]["values"])


def test_the_same_picture_gives_the_same_bytes() -> None:
    picture = [np.random.default_rng(0).random((8, 8)).tolist()]
    explainer = OcclusionExplainer(subject(), {}, 7)
    assert as_bytes(explained(explainer, picture)) == as_bytes(explained(explainer, picture))


@pytest.mark.parametrize("instance", [[1.0, 2.0], [[[[1.0]]]], [["a", "b"], ["c", "d"]]])
def test_what_is_no_picture_is_refused(instance: Any) -> None:
    class Anything(Corner):
        def predict(self, instances: list[Any]) -> list[Any]:
            return [0.0 for _ in instances]

    explainer = OcclusionExplainer(subject_of(Anything(), {"problemType": "regression"}), {}, 7)
    with pytest.raises(BadRequest, match="A picture is a table of numbers"):
        explainer.explain([instance], Budget(60))


def test_a_budget_ends_it() -> None:
    explainer = OcclusionExplainer(subject(), {"patch": 1, "stride": 1}, 7)
    with pytest.raises(BudgetExceeded):
        explainer.explain([np.ones((20, 20)).tolist()], Budget(60, rows=100))


def test_columns_are_no_picture() -> None:
    made = subject_of(
        Corner(), {"features": [{"name": "a", "type": "number"}], "problemType": "regression"}
    )
    assert OcclusionExplainer.suits(made, None) == "The model takes named features, not pictures"

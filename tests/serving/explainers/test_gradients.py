"""Integrated gradients add up and are what the integral gives; saliency is the slope."""

from typing import Any

import numpy as np
import pytest

from apps.serving.errors import BadRequest, ModelFailure
from apps.serving.explainers.base import Background, Budget
from apps.serving.explainers.gradients import IntegratedGradientsExplainer, SaliencyExplainer
from apps.serving.explainers.subject import Subject, subject_of
from apps.serving.loaders.tensors import Tensor, TensorModel
from apps.serving.spec import ServerSpec
from tests.serving.explainers.contract import as_bytes, explained, ready, shares

COLUMNS = {"features": [{"name": name, "type": "number"} for name in "abc"]}


def model(run: Any, slopes: Any, shape: tuple[int, ...], metadata: Any) -> TensorModel:
    """A model of tensors whose function and slopes are written down."""
    return TensorModel(
        ServerSpec("m", "pytorch", "torchscript", "x", metadata),
        [Tensor("x", np.dtype("float64"), (-1, *shape))],
        [],
        lambda arrays: {"output": run(arrays[0])},
        about={"framework": "pytorch"},
        slopes=lambda array, name, place: slopes(array, place),
    )


def product(x: np.ndarray) -> np.ndarray:
    """x0 x1 + x2 squared."""
    return np.asarray(x[:, 0] * x[:, 1] + x[:, 2] ** 2)


def product_slopes(x: np.ndarray, place: int) -> np.ndarray:
    return np.stack((x[:, 1], x[:, 0], 2 * x[:, 2]), axis=1)


@pytest.fixture
def of_columns() -> Subject:
    metadata = COLUMNS | {"problemType": "regression"}
    return subject_of(model(product, product_slopes, (3,), metadata), metadata)


def background(subject: Subject, *rows: list[float]) -> Background:
    return Background.of(subject.frame(list(rows)))


def test_the_integral_is_exact_from_a_baseline_of_zeros(of_columns: Subject) -> None:
    reference = background(of_columns, [1.0, 1.0, 1.0])
    explainer = ready("integrated_gradients", of_columns, reference, {"baseline": 0.0})
    answer = explained(explainer, [[2.0, 3.0, 4.0]])[0]
    np.testing.assert_allclose(shares([answer])[0], [3.0, 3.0, 16.0], atol=1e-9)
    assert (answer["baseValue"], answer["prediction"], answer["unit"]) == (0.0, 22.0, "value")


def test_named_features_start_from_the_backgrounds_mean(of_columns: Subject) -> None:
    reference = background(of_columns, [0.0, 0.0, 1.0], [2.0, 2.0, 3.0])
    explainer = ready("integrated_gradients", of_columns, reference)
    answer = explained(explainer, [{"a": 2.0, "b": 3.0, "c": 4.0}])[0]
    assert answer["baseValue"] == 1.0 + 4.0
    assert sum(shares([answer])[0]) == pytest.approx(22.0 - 5.0)
    assert [c["feature"] for c in answer["contributions"]] == ["a", "b", "c"]
    again = explained(explainer, [{"a": 2.0, "b": 3.0, "c": 4.0}])
    assert as_bytes([answer]) == as_bytes(again)


def kinked(x: np.ndarray) -> np.ndarray:
    return np.asarray(np.maximum(x[:, 0] - 0.37, 0) * 9 + np.maximum(x[:, 1] - x[:, 2], 0))


def kinked_slopes(x: np.ndarray, place: int) -> np.ndarray:
    above, over = (x[:, 0] > 0.37) * 9.0, (x[:, 1] > x[:, 2]) * 1.0
    return np.stack((above, over, -over), axis=1)


def test_steps_are_doubled_until_it_adds_up() -> None:
    metadata = COLUMNS | {"problemType": "regression"}
    subject = subject_of(model(kinked, kinked_slopes, (3,), metadata), metadata)
    settings = {"baseline": 0.0, "tolerance": 0.0005}
    explainer = ready("integrated_gradients", subject, background(subject, [0.0] * 3), settings)
    answer = explained(explainer, [[1.0, 1.0, 0.2]])[0]
    assert answer["fidelity"]["steps"] > 32
    assert answer["fidelity"]["additivityError"] <= 0.0005


def test_gradients_that_are_not_the_models_are_never_given() -> None:
    metadata = COLUMNS | {"problemType": "regression"}
    wrong = model(product, lambda x, place: np.ones_like(x), (3,), metadata)
    subject = subject_of(wrong, metadata)
    explainer = ready("integrated_gradients", subject, background(subject, [0.0] * 3))
    with pytest.raises(ModelFailure, match="do not add up: after 4096 steps"):
        explainer.explain([[2.0, 3.0, 4.0]], Budget(600))


WEIGHTS = np.arange(8.0).reshape(2, 2, 2) - 3.0


def logits(x: np.ndarray) -> np.ndarray:
    return np.asarray(x.reshape(len(x), 4) @ WEIGHTS.reshape(2, 4).T)


def logit_slopes(x: np.ndarray, place: int) -> np.ndarray:
    return np.broadcast_to(WEIGHTS[place], x.shape)


@pytest.fixture
def of_pictures() -> Subject:
    picture = [[0.0, 1.0], [2.0, 3.0]]
    metadata = {
        "problemType": "classificationWithProbabilities",
        "outputActivation": "softmax",
        "predictionClasses": {"cat": 0, "dog": 1},
        "exampleInput": {"instances": [picture]},
    }
    return subject_of(model(logits, logit_slopes, (2, 2), metadata), metadata)


def test_a_picture_gets_a_picture_of_its_class(of_pictures: Subject) -> None:
    picture = [[0.0, 1.0], [2.0, 3.0]]
    explainer = IntegratedGradientsExplainer(of_pictures, {"class": "cat"}, 7)
    explainer.fit(None)
    answer = explained(explainer, [picture])[0]
    assert (answer["class"], answer["unit"]) == ("cat", "logit")
    np.testing.assert_allclose(answer["picture"]["values"], WEIGHTS[0] * picture, atol=1e-9)
    assert answer["picture"]["shape"] == [2, 2]
    assert answer["output"] == of_pictures.answers_of([picture])[0]


def test_saliency_is_the_slope_without_its_sign(of_pictures: Subject) -> None:
    explainer = SaliencyExplainer(of_pictures, {}, 7)
    answer = explained(explainer, [[[0.0, 1.0], [2.0, 3.0]]])[0]
    assert answer["class"] == "dog"
    np.testing.assert_array_equal(answer["picture"]["values"], np.abs(WEIGHTS[1]))
    assert answer["baseValue"] is None


def test_what_it_does_not_suit_it_says() -> None:
    metadata = COLUMNS | {"problemType": "regression"}
    plain = model(product, product_slopes, (3,), metadata)
    plain.slopes = None
    subject = subject_of(plain, metadata)
    assert "PyTorch and TensorFlow" in IntegratedGradientsExplainer.suits(subject, None)


def test_a_mean_of_pictures_is_refused(of_pictures: Subject) -> None:
    with pytest.raises(BadRequest, match="give a number as baseline"):
        IntegratedGradientsExplainer(of_pictures, {"baseline": "mean"}, 7).fit(None)

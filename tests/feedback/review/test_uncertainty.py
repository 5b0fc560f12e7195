"""Which cases count as uncertain: by conformal sets and intervals, or by a stated rule."""

import json
from typing import Any

import numpy as np
import pytest
from django.utils import timezone

from apps.accounts.models import User
from apps.core.errors import Invalid
from apps.deployments.models import Deployment
from apps.feedback.authors import Author
from apps.feedback.models import ReviewCase
from apps.feedback.review.settings import QueueSettings, checked
from apps.feedback.review.subjects import Model, subject_of
from apps.feedback.review.uncertainty import uncertainty_of
from apps.feedback.services import Given, record_actuals
from apps.predictions.models import PredictionRecord
from tests.feedback.review.conftest import make_queue, take_in
from tests.predictions.conftest import METADATA
from tests.predictions.factories import CASE, prediction_of, write_request

REGRESSION = Model({"problemType": "regression"})


def learn(deployment: Deployment, author: Author, outputs: list[Any], actuals: list[Any]) -> None:
    """Records a prediction for each output, and what turned out to be true."""
    write_request(deployment, [CASE] * len(outputs))
    records = list(PredictionRecord.objects.order_by("id"))
    for record, output in zip(records, outputs, strict=True):
        numbers = output if isinstance(output, list) else [output]
        record.output = json.dumps(output)
        record.outcome = str(output)
        record.score = repr(max(numbers))
        record.save()
    rows = [Given(value, r.id) for r, value in zip(records, actuals, strict=True)]
    record_actuals(deployment=deployment, rows=rows, by=author, now=timezone.now())


def test_sets_are_calibrated_on_what_turned_out(
    deployment: Deployment, operator: User, author: Author
) -> None:
    random = np.random.default_rng(4)
    p_bad = random.uniform(0, 1, 400)
    actuals = np.where(random.uniform(0, 1, 400) < p_bad, "bad", "good").tolist()
    learn(deployment, author, [[1 - p, p] for p in p_bad.tolist()], actuals)
    queue = make_queue(deployment, operator, rules=[], alpha=0.1)
    unsure, sure = prediction_of(deployment, p_bad=0.55), prediction_of(deployment, p_bad=0.99)
    assert take_in(queue) == 2
    case = ReviewCase.objects.get()
    assert case.prediction_id == unsure.id != sure.id
    assert (case.is_certain, case.probability) == (True, 1)
    [cause] = case.causes
    assert cause["kind"] == "uncertain"
    assert cause["words"] == "It may be any of good, bad with 90\u00a0% certainty"
    assert 1 < case.priority <= 2


def test_the_less_certain_comes_earlier(
    deployment: Deployment, operator: User, author: Author
) -> None:
    queue = make_queue(deployment, operator, rules=[], alpha=0.1)
    nearly, hardly = prediction_of(deployment, p_bad=0.85), prediction_of(deployment, p_bad=0.51)
    take_in(queue)
    order = ReviewCase.objects.values_list("prediction_id", flat=True)
    assert list(order) == [hardly.id, nearly.id]


def test_with_too_few_actuals_a_stated_rule_stands_in(
    deployment: Deployment, operator: User, author: Author
) -> None:
    learn(deployment, author, [[0.4, 0.6]] * 3, ["bad", "good", "bad"])
    queue = make_queue(deployment, operator, rules=[], alpha=0.1)
    prediction_of(deployment, p_bad=0.85)
    prediction_of(deployment, p_bad=0.95)
    take_in(queue)
    [cause] = ReviewCase.objects.get().causes
    assert cause["words"] == (
        "Its probability is 0.85, below 0.9; 3 of 50 actuals are known that calibrate it"
    )


def test_actuals_of_another_revision_calibrate_nothing(
    deployment: Deployment, author: Author
) -> None:
    learn(deployment, author, [[0.4, 0.6]] * 60, ["bad", "good"] * 30)
    revision = deployment.revisions.get()
    found = uncertainty_of(deployment, revision.id, Model(METADATA), 0.1, None)
    assert (found.is_calibrated, found.n) == (True, 60)
    other = uncertainty_of(deployment, deployment.id, Model(METADATA), 0.1, None)
    assert (other.is_calibrated, other.n) == (False, 0)


def test_an_interval_that_holds_the_turn_is_uncertain(
    deployment: Deployment, author: Author
) -> None:
    random = np.random.default_rng(5)
    given = random.uniform(0, 100, 200)
    model = deployment.revisions.get().components.get(kind="model").model_version
    assert model is not None
    model.metadata = {"problemType": "regression"}
    model.save()
    learn(deployment, author, given.tolist(), (given + random.normal(0, 5, 200)).tolist())
    revision = deployment.revisions.get()
    found = uncertainty_of(deployment, revision.id, REGRESSION, 0.1, 50.0)
    assert found.numbers is not None
    assert 6 < found.numbers.half_width < 11
    near, far = (
        subject_of(PredictionRecord(outcome=text, input="{}"), REGRESSION) for text in ("48", "80")
    )
    cause, none = found.causes([near, far])
    assert none is None
    assert cause is not None
    assert "the decision turns at 50" in cause.words


def test_a_regression_wants_the_value_at_which_it_turns() -> None:
    with pytest.raises(Invalid, match="turns"):
        checked(QueueSettings(name="Q", alpha=0.1), REGRESSION, has_reference=False)
    checked(QueueSettings(name="Q", alpha=0.1, turns_at=5), REGRESSION, has_reference=False)


def test_a_model_without_probabilities_is_never_uncertain() -> None:
    plain = Model({"problemType": "classification"})
    with pytest.raises(Invalid, match="no probabilities"):
        checked(QueueSettings(name="Q", alpha=0.1), plain, has_reference=False)


def test_a_prediction_without_its_probabilities_is_judged_by_its_own(
    deployment: Deployment, author: Author
) -> None:
    learn(deployment, author, [[0.4, 0.6]] * 60, ["bad", "good"] * 30)
    revision = deployment.revisions.get()
    found = uncertainty_of(deployment, revision.id, Model(METADATA), 0.1, None)
    odd = subject_of(PredictionRecord(outcome="x", score="0.3", output='"x"'), Model(METADATA))
    [cause] = found.causes([odd])
    assert cause is not None
    assert cause.words == "Its probability is 0.30, below 0.9"

"""Which cases count as new against the reference data of the model."""

from pathlib import Path

import numpy as np
import pytest
import skops.io
from sklearn.linear_model import LogisticRegression

from apps.accounts.models import User, Workspace
from apps.deployments import services as deployments
from apps.deployments.models import Deployment
from apps.feedback.models import ReviewCase
from apps.registry import services as registry
from apps.registry.services import Upload
from tests.feedback.review.conftest import make_queue, take_in
from tests.predictions.conftest import METADATA
from tests.predictions.factories import write_request


def sample() -> bytes:
    random = np.random.default_rng(3)
    rows = [
        f"{random.integers(18, 80)},{random.choice(['Ede', 'Goes', 'Urk'])},"
        f"{random.normal(2000, 300):.1f}"
        for _ in range(200)
    ]
    return "\n".join(["age,city,income", *rows]).encode()


@pytest.fixture
def sampled(workspace: Workspace, operator: User, tmp_path: Path) -> Deployment:
    """A deployment whose model version has reference data."""
    skops.io.dump(LogisticRegression().fit([[0.0], [1.0]], [0, 1]), tmp_path / "m.skops")
    model = registry.create_model(workspace=workspace, name="Logistic", by=operator)
    version = registry.add_version(
        model=model,
        artifact=Upload("m.skops", [(tmp_path / "m.skops").read_bytes()]),
        sample=Upload("sample.csv", [sample()]),
        metadata=METADATA,
        by=operator,
    )
    return deployments.create_deployment(
        workspace=workspace, name="Credit risk", model_version=version, by=operator
    )


def test_a_case_unlike_the_reference_enters_with_what_is_odd(
    sampled: Deployment, operator: User
) -> None:
    queue = make_queue(sampled, operator, rules=[], novelty=0.99)
    usual = {"age": 41, "city": "Urk", "income": 2000.0}
    odd = {"age": 99, "city": "Rome", "income": 90_000.0}
    gaps = {"age": None, "city": None}
    write_request(sampled, [usual, odd, gaps])
    assert take_in(queue) == 3
    words = [case.causes[0]["words"] for case in ReviewCase.objects.order_by("prediction_id")]
    assert len(words) == 2
    assert words[0].startswith("It is farther from the reference data than 99.5\u00a0% of it")
    assert words[0].endswith("above all in city, Age, income")
    assert "above all" not in words[1]


def test_few_of_the_cases_like_the_reference_enter(sampled: Deployment, operator: User) -> None:
    queue = make_queue(sampled, operator, rules=[], novelty=0.95)
    random = np.random.default_rng(7)
    cases = [
        {
            "age": int(random.integers(18, 80)),
            "city": str(random.choice(["Ede", "Goes", "Urk"])),
            "income": float(random.normal(2000, 300)),
        }
        for _ in range(400)
    ]
    write_request(sampled, cases)
    take_in(queue)
    assert ReviewCase.objects.count() / len(cases) < 0.1


def test_a_rule_of_newness_reads_text_where_numbers_are_wanted(
    sampled: Deployment, operator: User
) -> None:
    queue = make_queue(sampled, operator, rules=[], novelty=0.99)
    write_request(sampled, [{"age": "old", "city": 5, "income": [1]}])
    assert take_in(queue) == 1
    assert [cause["kind"] for cause in ReviewCase.objects.get().causes] == ["new"]

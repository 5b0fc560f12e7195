"""LIME is the library's own answer, the same for the same request, in raw features."""

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from lime.lime_tabular import LimeTabularExplainer
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier

from apps.serving.errors import BadRequest, LoadError, ModelFailure
from apps.serving.explainers.base import Background, BudgetExceeded
from apps.serving.explainers.lime_tabular import LimeTabular
from tests.serving.cases import FEATURES, nullable, outcome, table, with_gaps
from tests.serving.explainers.subjects import (
    background,
    breast_cancer,
    budget,
    german,
    german_xgboost,
    house_prices,
    instances,
    sklearn_subject,
    steady,
)

SEED = 11
SAMPLES = 800


def fitted(subject: Any, frame: pd.DataFrame, **settings: Any) -> LimeTabular:
    explainer = LimeTabular(subject, {"samples": SAMPLES} | settings, SEED)
    explainer.fit(background(subject, frame))
    return explainer


def test_it_gives_what_the_library_gives() -> None:
    subject, reference, rows = breast_cancer()
    ours = fitted(subject, reference).explain(instances(rows)[:3], budget())

    def asked(values: np.ndarray) -> Any:
        return subject.model.native.predict_proba(pd.DataFrame(values, columns=reference.columns))

    for answer, row in zip(ours, rows.to_numpy()[:3], strict=True):
        lime = LimeTabularExplainer(
            reference.to_numpy(), feature_selection="none", random_state=SEED
        )
        theirs = lime.explain_instance(
            row, asked, labels=(1,), num_features=30, num_samples=SAMPLES
        )
        weights = dict(theirs.local_exp[1])
        found = [part["contribution"] for part in answer["contributions"]]
        np.testing.assert_array_equal(found, [weights[at] for at in range(30)])
        assert answer["baseValue"] == theirs.intercept[1]
        assert answer["fidelity"]["localR2"] == theirs.score


@pytest.mark.parametrize("case", [german, german_xgboost, breast_cancer, house_prices])
def test_the_same_request_gives_the_same_bytes(case: Any) -> None:
    subject, reference, rows = case()
    explainer = fitted(subject, reference)
    asked = instances(rows)[:2]
    first, second = (json.dumps(steady(explainer.explain(asked, budget()))) for _ in range(2))
    again = json.dumps(steady(fitted(subject, reference).explain(asked, budget())))
    assert first == second == again


def test_the_contributions_and_the_base_add_up_to_the_local_prediction() -> None:
    subject, reference, rows = german()
    (answer,) = fitted(subject, reference).explain(instances(rows)[:1], budget())
    total = answer["baseValue"] + sum(part["contribution"] for part in answer["contributions"])
    assert total == pytest.approx(answer["fidelity"]["localPrediction"], abs=1e-9)
    assert answer["unit"] == "probability"
    assert answer["prediction"] == answer["output"][1]
    assert [part["feature"] for part in answer["contributions"]] == list(reference.columns)
    assert answer["contributions"][0]["value"] == rows["checking_status"].iloc[0]


def test_the_class_that_is_explained_can_be_named() -> None:
    subject, reference, rows = german()
    asked = instances(rows)[:1]
    (bad,) = fitted(subject, reference).explain(asked, budget())
    (good,) = fitted(subject, reference, **{"class": "good"}).explain(asked, budget())
    assert (good["class"], good["prediction"]) == ("good", good["output"][0])
    shares = [part["contribution"] for part in good["contributions"]]
    opposite = [-part["contribution"] for part in bad["contributions"]]
    np.testing.assert_allclose(shares, opposite, atol=1e-12)


def test_another_seed_gives_another_neighbourhood() -> None:
    subject, reference, rows = german()
    other = LimeTabular(subject, {"samples": SAMPLES}, SEED + 1)
    other.fit(background(subject, reference))
    asked = instances(rows)[:1]
    one = fitted(subject, reference).explain(asked, budget())[0]
    assert one["contributions"] != other.explain(asked, budget())[0]["contributions"]


def test_a_linear_model_is_followed_by_its_signs() -> None:
    subject, reference, rows = house_prices()
    (answer,) = fitted(subject, reference).explain(
        [{"size": 190, "distance": 1.0, "noise": 0.0}], budget()
    )
    size, distance, noise = (part["contribution"] for part in answer["contributions"])
    assert size > 100
    assert distance > 20
    assert abs(noise) < 15


def test_missing_values_are_a_range_of_their_own() -> None:
    gaps = with_gaps(table(300))
    frame = gaps.astype({"city": "category"})
    model = HistGradientBoostingClassifier(max_iter=9, random_state=0)
    model.fit(frame, outcome(table(300)))
    subject = sklearn_subject(model, {"features": nullable(FEATURES)}, gaps)
    explainer = fitted(subject, gaps)
    asked = [
        {"income": None, "age": 40, "city": "Ede", "owner": True},
        {"income": 3100.0, "age": None, "city": None, "owner": None},
    ]
    answers = explainer.explain(asked, budget())
    assert [part["value"] for part in answers[1]["contributions"]] == [3100.0, None, None, None]
    assert all(np.isfinite(p["contribution"]) for a in answers for p in a["contributions"])
    assert answers[0]["contributions"][0]["contribution"] != 0


def test_a_category_that_the_background_lacks_is_explained_as_different() -> None:
    subject, reference, rows = german()
    few = reference[reference["purpose"] != "A48"]
    row = instances(rows)[0] | {"purpose": "A48"}
    (answer,) = fitted(subject, few).explain([row], budget())
    assert next(p for p in answer["contributions"] if p["feature"] == "purpose")["value"] == "A48"


def test_a_constant_model_has_no_contributions() -> None:
    frame = table()[["income", "age"]]
    model = DummyClassifier(strategy="prior").fit(frame, outcome(table()))
    subject = sklearn_subject(model, {}, frame)
    (answer,) = fitted(subject, frame).explain(instances(frame)[:1], budget())
    assert [part["contribution"] for part in answer["contributions"]] == pytest.approx([0, 0])


def test_a_background_that_does_not_fit_is_refused_in_words() -> None:
    subject, reference, _ = german()
    explainer = LimeTabular(subject, {}, SEED)
    with pytest.raises(BadRequest, match="lacks 1 of the model's features: age"):
        explainer.fit(Background.of(reference.drop(columns="age")))
    texts = reference.astype({"age": object})
    texts.loc[3, "age"] = "old"
    with pytest.raises(BadRequest, match='the text "old" in row 3 of age'):
        explainer.fit(Background.of(texts))
    with pytest.raises(BadRequest, match="has 1 row"):
        explainer.fit(Background.of(reference.head(1)))


def test_settings_that_it_does_not_have_are_refused() -> None:
    subject, _, _ = german()
    with pytest.raises(LoadError, match="lime has no setting sample; it has class, samples"):
        LimeTabular(subject, {"sample": 5}, SEED)
    with pytest.raises(LoadError, match="samples must be 100 to 100,000"):
        LimeTabular(subject, {"samples": 5}, SEED)


def test_nan_from_the_model_is_refused() -> None:
    frame = table()[["income", "age"]]
    model = GradientBoostingClassifier(n_estimators=2).fit(frame, outcome(table()))
    subject = sklearn_subject(model, {}, frame)
    explainer = fitted(subject, frame)
    model.predict_proba = lambda data: np.full((len(data), 2), np.nan)
    with pytest.raises(ModelFailure, match="NaN or infinity"):
        explainer.explain(instances(frame)[:1], budget())


def test_a_spent_budget_gives_nothing() -> None:
    subject, reference, rows = german()
    explainer = fitted(subject, reference)
    with pytest.raises(BudgetExceeded) as spent:
        explainer.explain(instances(rows)[:1], budget(rows=100))
    assert spent.value.status == 504

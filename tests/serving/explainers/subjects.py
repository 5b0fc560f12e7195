"""Subjects of the demo's models and of breast cancer, each with rows that it was not trained on."""

from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import GradientBoostingClassifier, GradientBoostingRegressor
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from apps.serving.explainers.base import Background, Budget
from apps.serving.explainers.subject import Subject, subject_of
from apps.serving.loaders.sklearn_model import SklearnModel
from apps.serving.loaders.xgboost_model import XGBoostModel
from apps.serving.spec import ServerSpec
from fixtures import train_demo

BUDGET_SECONDS = 120.0
VOLATILE = ("milliseconds", "budget")


def spec_of(framework: str, metadata: dict[str, Any]) -> ServerSpec:
    return ServerSpec("m", framework, "joblib", "", metadata)


def sklearn_subject(
    model: Any, metadata: dict[str, Any], sample: pd.DataFrame | None = None
) -> Subject:
    return subject_of(SklearnModel(model, spec_of("sklearn", metadata)), metadata, sample)


@cache
def german() -> tuple[Subject, pd.DataFrame, pd.DataFrame]:
    """Gradient boosting on German credit, 400 rows held out: 300 of reference, 100 to explain."""
    data = _german_data()
    model = train_demo.train_gradient_boosting(data)
    subject = sklearn_subject(model, _german_metadata(data), data.test)
    return subject, data.test.iloc[:300].reset_index(drop=True), data.test.iloc[300:]


@cache
def german_xgboost() -> tuple[Subject, pd.DataFrame, pd.DataFrame]:
    data = _german_data()
    booster = train_demo.train_xgboost(data).get_booster()
    metadata = _german_metadata(data)
    subject = subject_of(XGBoostModel(booster, spec_of("xgboost", metadata)), metadata, data.test)
    return subject, data.test.iloc[:300].reset_index(drop=True), data.test.iloc[300:]


def _german_metadata(data: train_demo.Data) -> dict[str, Any]:
    return train_demo.metadata(data, np.array([[0.5, 0.5]]))


@cache
def _german_data() -> train_demo.Data:
    whole = train_demo.read_data()
    frame, bad = pd.concat([whole.train, whole.test]), np.r_[whole.train_bad, whole.test_bad]
    train, test, train_bad, test_bad = train_test_split(
        frame, bad, test_size=400, stratify=bad, random_state=1
    )
    return train_demo.Data(train, train_bad, test, test_bad, whole.features)


@cache
def breast_cancer() -> tuple[Subject, pd.DataFrame, pd.DataFrame]:
    """Gradient boosting on breast cancer: 170 rows to train, 220 of reference, 179 to explain."""
    frame, target = load_breast_cancer(return_X_y=True, as_frame=True)
    train, test, known, _ = train_test_split(
        frame, target, train_size=170, stratify=target, random_state=1
    )
    model = GradientBoostingClassifier(random_state=0).fit(train, known)
    test = test.reset_index(drop=True)
    return sklearn_subject(model, {}, test), test.iloc[:220], test.iloc[220:]


@cache
def house_prices() -> tuple[Subject, pd.DataFrame, pd.DataFrame]:
    """A regression on made rows: the price grows with size and falls with distance."""
    random = np.random.default_rng(3)
    frame = pd.DataFrame(
        {
            "size": random.integers(30, 200, 600),
            "distance": random.uniform(0, 40, 600).round(1),
            "noise": random.normal(size=600),
        }
    )
    price = frame["size"] * 3.0 - frame["distance"] * 4.0 + random.normal(size=600)
    model = GradientBoostingRegressor(random_state=0).fit(frame[:300], price[:300])
    subject = sklearn_subject(model, {"unit": "EUR thousand"}, frame)
    return subject, frame.iloc[300:500].reset_index(drop=True), frame.iloc[500:]


@cache
def transactions() -> tuple[Subject, pd.DataFrame, pd.DataFrame]:
    """Made payments, flagged for amount, velocity and country: 1,600 of reference, 800 to ask."""
    random = np.random.default_rng(5)
    frame = pd.DataFrame(
        {
            "amount": random.lognormal(4, 1.2, 4000).round(2),
            "payments_last_hour": random.poisson(1.5, 4000),
            "country": np.array(["NL", "DE", "BE", "XX"], dtype=object)[
                random.choice(4, 4000, p=[0.6, 0.2, 0.15, 0.05])
            ],
            "new_payee": random.random(4000) < 0.2,
        }
    )
    score = np.log(frame["amount"]) + frame["payments_last_hour"] + 3 * (frame["country"] == "XX")
    flagged = (score + frame["new_payee"] + random.normal(size=4000) * 0.5 > 7.5).astype(int)
    encode = ColumnTransformer(
        [("country", OneHotEncoder(sparse_output=False), ["country"])], remainder="passthrough"
    )
    model = make_pipeline(encode, GradientBoostingClassifier(n_estimators=60, random_state=0))
    model.fit(frame[:1600], flagged[:1600])
    subject = sklearn_subject(model, {"predictionClasses": {"clear": 0, "alert": 1}}, frame)
    return subject, frame.iloc[1600:3200].reset_index(drop=True), frame.iloc[3200:]


def background(
    subject: Subject, frame: pd.DataFrame, target: np.ndarray | None = None
) -> Background:
    return Background.of(subject.table(frame), target)


def instances(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as a client sends them."""
    plain = frame.astype(object).where(frame.notna(), None).to_dict("records")
    return [{str(k): getattr(v, "item", lambda v=v: v)() for k, v in row.items()} for row in plain]


def budget(seconds: float = BUDGET_SECONDS, rows: int = 0) -> Budget:
    return Budget(seconds, rows)


def steady(answers: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The answers without what differs between two runs: the times."""
    return [
        {key: value for key, value in each.items() if key not in VOLATILE}
        | {"modelRows": each["budget"]["modelRows"]}
        for each in answers
    ]

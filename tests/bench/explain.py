"""Explainers by themselves, in one warm process: milliseconds a row and for a hundred.

    python -m tests.bench.explain [--rows 200] [--only shap]

Prints median and 99th percentile of one row, and the time of one call with a hundred, per data set,
model and method that suits it. German credit has the 20 raw features of the demo, breast cancer 30
numbers; the background is 100 rows of training, rows are held out. The time is that of `explain`
whole: the frame, the model's own answer and score, the contributions, the check of their sum.
"""

import argparse
import os
import time
from dataclasses import dataclass
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # as a model server of one thread has it

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from xgboost import XGBClassifier

from apps.serving.explainers import EXPLAINERS, explainer_class
from apps.serving.explainers.base import Background, Budget
from apps.serving.explainers.subject import Subject, subject_of
from apps.serving.loaders.sklearn_model import SklearnModel
from apps.serving.loaders.xgboost_model import XGBoostModel
from apps.serving.spec import ServerSpec
from fixtures import train_demo
from tests.bench import machine

BACKGROUND = 100


@dataclass(frozen=True)
class Case:
    """A model on a data set: its subject, the background and rows to explain."""

    name: str
    subject: Subject
    background: Background
    rows: list[Any]


def sklearn_case(name: str, model: Any, metadata: Any, train: Any, test: Any) -> Case:
    loaded = SklearnModel(model, ServerSpec("m", "sklearn", "joblib", "", metadata))
    return case(name, loaded, metadata, train, test)


def xgboost_case(name: str, model: Any, metadata: Any, train: Any, test: Any) -> Case:
    spec = ServerSpec("m", "xgboost", "xgboost-ubj", "", metadata)
    return case(name, XGBoostModel(model.get_booster(), spec), metadata, train, test)


def case(name: str, loaded: Any, metadata: Any, train: Any, test: Any) -> Case:
    subject = subject_of(loaded, metadata, train)
    background = Background.of(subject.table(train.head(BACKGROUND)))
    instances = subject.instances(subject.table(test))
    rows = [dict(zip(subject.names, row, strict=True)) for row in instances]
    return Case(name, subject, background, rows)


def german_credit() -> list[Case]:
    data = train_demo.read_data()
    metadata = {"features": data.features, "predictionClasses": {"good": 0, "bad": 1}}
    words = [f["name"] for f in data.features if f["type"] == "category"]
    numbers = [f["name"] for f in data.features if f["type"] != "category"]
    encoder = ColumnTransformer(
        [
            ("words", OneHotEncoder(handle_unknown="ignore", sparse_output=False), words),
            ("numbers", StandardScaler(), numbers),
        ]
    )
    train = data.train.astype(dict.fromkeys(words, object))
    linear = make_pipeline(encoder, LogisticRegression(max_iter=1000)).fit(train, data.train_bad)
    forest = make_pipeline(encoder, RandomForestClassifier(200, max_depth=10, random_state=0))
    forest.fit(train, data.train_bad)
    sides = metadata, data.train, data.test
    return [
        xgboost_case("credit / XGBoost", train_demo.train_xgboost(data), *sides),
        sklearn_case("credit / boosting", train_demo.train_gradient_boosting(data), *sides),
        sklearn_case("credit / logistic", linear, *sides),
        sklearn_case("credit / forest", forest, *sides),
    ]


def breast_cancer() -> list[Case]:
    frame, target = load_breast_cancer(return_X_y=True, as_frame=True)
    train, test, goal, _ = train_test_split(frame, target, random_state=0)
    features = [{"name": name, "type": "number"} for name in frame.columns]
    sides: Any = ({"features": features}, train, test)
    models = {
        "boosting": GradientBoostingClassifier(random_state=0),
        "histogram": HistGradientBoostingClassifier(random_state=0),
        "forest": RandomForestClassifier(200, random_state=0),
        "logistic": make_pipeline(StandardScaler(), LogisticRegression()),
    }
    cases = [
        sklearn_case(f"cancer / {name}", model.fit(train, goal), *sides)
        for name, model in models.items()
    ]
    trees = XGBClassifier(n_estimators=300, n_jobs=1).fit(train, goal)
    return [*cases, xgboost_case("cancer / XGBoost", trees, *sides)]


def measure(each: Case, method: str, rows: int) -> str:
    explainer = explainer_class(method)(each.subject, {}, 7)
    started = time.perf_counter()
    explainer.fit(each.background)
    fitted = time.perf_counter() - started
    explainer.explain(each.rows[:2], Budget(600))
    times: list[float] = []
    until = time.perf_counter() + 20
    while len(times) < rows and (len(times) < 20 or time.perf_counter() < until):
        started = time.perf_counter()
        explainer.explain([each.rows[len(times) % len(each.rows)]], Budget(600))
        times.append(time.perf_counter() - started)
    p50, p99 = np.quantile(times, [0.5, 0.99]) * 1000
    started = time.perf_counter()
    explainer.explain(each.rows[:100], Budget(600))
    hundred = (time.perf_counter() - started) * 1000
    line = f"{each.name:20} {method:22} {len(times):5} {p50:9.2f} {p99:9.2f} {hundred:10.1f}"
    return f"{line} {fitted * 1000:9.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=200)
    parser.add_argument("--only", default="")
    asked = parser.parse_args()
    print(machine.describe())
    print(f"{'model':20} {'method':22} {'n':>5} {'p50 ms':>9} {'p99 ms':>9}", end=" ")
    print(f"{'100 rows':>10} {'fit ms':>9}")
    for each in german_credit() + breast_cancer():
        for method in EXPLAINERS:
            if not method.startswith(asked.only):
                continue
            if not explainer_class(method).suits(each.subject, each.background):
                print(measure(each, method, asked.rows), flush=True)


if __name__ == "__main__":
    main()

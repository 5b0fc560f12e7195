"""What the real explainers say of a small credit model, for tests of words and pictures."""

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import joblib
import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder

from apps.serving.explainers import explainer_class
from apps.serving.explainers.base import Background, Budget
from apps.serving.explainers.subject import Subject, subject_of
from apps.serving.loaders import load
from apps.serving.spec import ServerSpec
from tests.predictions.factories import CASE

METADATA: dict[str, Any] = {
    "problemType": "classificationWithProbabilities",
    "predictionClasses": {"good": 0, "bad": 1},
    "features": [
        {"name": "age", "type": "integer", "label": "Age", "unit": "years"},
        {
            "name": "city",
            "type": "category",
            "label": "Town",
            "categories": ["Ede", "Goes", "Urk"],
            "categoryLabels": {"Urk": "Urk on the lake"},
        },
        {"name": "income", "type": "number", "observedMin": 900, "observedMax": 3000},
    ],
    "exampleInput": {"instances": [CASE]},
}
CATALOGUE = {
    "version": "1",
    "codes": [
        {"code": "R1", "text": "Age of the applicant", "features": ["age"]},
        {"code": "R2", "text": "Town", "features": ["city"]},
        {"code": "R3", "text": "Income", "features": ["income"]},
    ],
}
RULES = [
    {
        "rule": "young",
        "text": "Younger than 25",
        "conditions": [{"feature": "age", "op": "<", "value": 25}],
    },
    {
        "rule": "lake",
        "text": "Lives on the lake",
        "conditions": [{"feature": "city", "op": "=", "value": "Urk"}],
    },
]
_SETTINGS: dict[str, dict[str, Any]] = {
    "reason_codes": {"catalogue": CATALOGUE, "rules": RULES},
    "lime": {"samples": 500},
    "anchors": {"threshold": 0.8},
}


@cache
def told(method: str) -> dict[str, Any]:
    """The answer of a method for CASE. Not to be changed."""
    subject, background = _subject()
    explainer = explainer_class(method)(subject, _SETTINGS.get(method, {}), 0)
    explainer.fit(background)
    [answer] = explainer.explain([CASE], Budget(60))
    return {"name": method, **answer}


@cache
def _subject() -> tuple[Subject, Background]:
    rows = sample()
    bad = (rows.pop("outcome") == 1).to_numpy().astype(int)
    encode = ColumnTransformer([("hot", OneHotEncoder(), ["city"])], remainder="passthrough")
    trees = GradientBoostingClassifier(n_estimators=20, random_state=0)
    model = Pipeline([("encode", encode), ("trees", trees)]).fit(rows, bad)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.joblib"
        joblib.dump(model, path)
        loaded = load(ServerSpec("m", "sklearn", "joblib", str(path), METADATA))
    subject = subject_of(loaded, METADATA, rows)
    return subject, Background.of(subject.table(rows), bad)


def sample() -> pd.DataFrame:
    """400 people; young ones in Urk with little income tend to be bad risks."""
    random = np.random.default_rng(0)
    rows = pd.DataFrame(
        {
            "age": random.integers(18, 80, 400),
            "city": random.choice(["Ede", "Goes", "Urk"], 400),
            "income": random.uniform(900, 3000, 400).round(1),
        }
    )
    risk = 1.5 * (rows["city"] == "Urk") + (50 - rows["age"]) / 20 - (rows["income"] - 1800) / 900
    rows["outcome"] = (risk + random.normal(0, 0.4, 400) > 0).astype(int)
    return rows

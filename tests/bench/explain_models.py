"""Models on German credit and breast cancer that the benchmark of explanations deploys."""

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import skops.io
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from xgboost import XGBClassifier

from fixtures import train_demo

BACKGROUND = 100


@dataclass(frozen=True)
class Data:
    """Training and held-out rows of raw features, the metadata, and the outcome of training."""

    name: str
    train: pd.DataFrame
    goal: Any
    test: pd.DataFrame
    metadata: dict[str, Any]

    @property
    def words(self) -> list[str]:
        return [f["name"] for f in self.metadata["features"] if f["type"] == "category"]


@dataclass(frozen=True)
class Made:
    """A model in a file, its metadata, its background as CSV, and rows that it never saw."""

    name: str
    artifact: Path
    metadata: dict[str, Any]
    sample: Path
    rows: list[dict[str, Any]]


def german_credit() -> Data:
    data = train_demo.read_data()
    metadata = {"features": data.features, "predictionClasses": {"good": 0, "bad": 1}}
    return Data("credit", data.train, data.train_bad, data.test, metadata)


def breast_cancer() -> Data:
    frame, target = load_breast_cancer(return_X_y=True, as_frame=True)
    train, test, goal, _ = train_test_split(frame, target, random_state=0)
    features = [{"name": name, "type": "number"} for name in frame.columns]
    metadata = {"features": features, "predictionClasses": {"malignant": 0, "benign": 1}}
    return Data("cancer", train, goal.to_numpy(), test, metadata)


def made(folder: Path, only: str, lightgbm_python: Any) -> Iterator[Made]:
    """The models whose names hold `only`; `lightgbm_python()` is an interpreter with LightGBM."""
    for data in (german_credit(), breast_cancer()):
        for kind in ("XGBoost", "LightGBM", "boosting", "histogram", "logistic"):
            name = f"{data.name} / {kind}"
            if only in name and not (kind == "histogram" and data.words):
                place = folder / name.replace(" / ", "-")
                place.mkdir()
                yield _written(data, kind, name, place, lightgbm_python)


def _written(data: Data, kind: str, name: str, place: Path, lightgbm_python: Any) -> Made:
    if kind == "XGBoost":
        artifact = place / "model.ubj"
        _xgboost(data).save_model(artifact)
    elif kind == "LightGBM":
        artifact = place / "model.txt"
        _lightgbm(data, place, artifact, lightgbm_python())
    else:
        artifact = place / "model.skops"
        skops.io.dump(_sklearn(data, kind), artifact)
    sample = place / "background.csv"
    data.train.head(BACKGROUND).to_csv(sample, index=False)
    rows = json.loads(data.test.to_json(orient="records", double_precision=15))
    metadata = data.metadata | {
        "problemType": "classificationWithProbabilities",
        "exampleInput": {"instances": rows[:1]},
    }
    return Made(name, artifact, metadata, sample, rows)


def _xgboost(data: Data) -> Any:
    if data.words:
        return train_demo.train_xgboost(train_demo.read_data())
    return XGBClassifier(n_estimators=300, n_jobs=1).fit(data.train, data.goal)


def _sklearn(data: Data, kind: str) -> Any:
    if kind == "boosting" and data.words:
        return train_demo.train_gradient_boosting(train_demo.read_data())
    if kind == "boosting":
        return GradientBoostingClassifier(random_state=0).fit(data.train, data.goal)
    if kind == "histogram":
        return HistGradientBoostingClassifier(random_state=0).fit(data.train, data.goal)
    if not data.words:
        return make_pipeline(StandardScaler(), LogisticRegression()).fit(data.train, data.goal)
    numbers = [name for name in data.train.columns if name not in data.words]
    one_hot = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    encoder = ColumnTransformer(
        [("words", one_hot, data.words), ("numbers", StandardScaler(), numbers)]
    )
    train = data.train.astype(dict.fromkeys(data.words, object))
    return make_pipeline(encoder, LogisticRegression(max_iter=1000)).fit(train, data.goal)


def _lightgbm(data: Data, place: Path, artifact: Path, python: Path) -> None:
    """Trained where LightGBM is; categories are native."""
    table = place / "train.csv"
    data.train.assign(outcome=data.goal).to_csv(table, index=False)
    known = {
        f["name"]: list(f["categories"])
        for f in data.metadata["features"]
        if f["type"] == "category"
    }
    command = [str(python), "-c", _TRAIN, str(table), json.dumps(known), str(artifact)]
    subprocess.run(command, check=True)


_TRAIN = """
import json, sys
import lightgbm, pandas
table, known, artifact = sys.argv[1], json.loads(sys.argv[2]), sys.argv[3]
frame = pandas.read_csv(table)
target = frame.pop("outcome")
frame = frame.astype({name: pandas.CategoricalDtype(values) for name, values in known.items()})
settings = {"objective": "binary", "num_leaves": 15, "learning_rate": 0.05}
settings |= {"min_data_per_group": 20, "num_threads": 1, "verbose": -1}
lightgbm.train(settings, lightgbm.Dataset(frame, target), 150).save_model(artifact)
"""

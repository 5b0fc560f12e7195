"""Model files as they come from training, and a model to put them under."""

import os
import pickle
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
import skops.io
import xgboost
from django.conf import settings
from sklearn.linear_model import LogisticRegression

from apps.accounts.models import User, Workspace
from apps.registry import services
from apps.registry.models import Model, ModelVersion
from apps.registry.services import Upload

ARTIFACTS = settings.BASE_DIR / "fixtures" / "artifacts"
SAMPLE = b"age,income,city,outcome\n41,1000.5,Ede,0\n23,,Urk,1\n35,2000,Ede,0\n"


class _CallsTheSystem:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("true",)


def _fitted() -> LogisticRegression:
    frame = pd.DataFrame({"age": [23.0, 41.0], "income": [1000.5, 2000.0]})
    return LogisticRegression().fit(frame, [0, 1])


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Real model files by name."""
    folder = tmp_path_factory.mktemp("models")
    skops.io.dump(_fitted(), folder / "model.skops")
    joblib.dump(_fitted(), folder / "model.joblib", compress=3)
    trained = xgboost.XGBClassifier(n_estimators=2).fit(np.eye(4), [0, 1, 0, 1])
    trained.save_model(folder / "model.json")
    trained.save_model(folder / "model.ubj")
    (folder / "dangerous.pkl").write_bytes(pickle.dumps([_fitted(), _CallsTheSystem()]))
    kept = (path for path in ARTIFACTS.iterdir() if path.name != "answers.json" and path.is_file())
    return {path.name: path.read_bytes() for path in [*folder.iterdir(), *kept]}


@pytest.fixture
def model(workspace: Workspace, operator: User) -> Model:
    return services.create_model(workspace=workspace, name="Credit risk", by=operator)


@pytest.fixture
def version(model: Model, operator: User, files: dict[str, bytes]) -> ModelVersion:
    return services.add_version(
        model=model,
        artifact=Upload("model.skops", [files["model.skops"]]),
        sample=Upload("sample.csv", [SAMPLE]),
        target="outcome",
        model_card="# Purpose\n\nEstimates the risk.",
        by=operator,
    )


@pytest.fixture
def dangerous(model: Model, operator: User, files: dict[str, bytes]) -> ModelVersion:
    return services.add_version(
        model=model, artifact=Upload("dangerous.pkl", [files["dangerous.pkl"]]), by=operator
    )


@pytest.fixture
def artifacts() -> Path:
    """The folder of kept artifacts."""
    return Path(ARTIFACTS)

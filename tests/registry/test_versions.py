"""From a file to a version: detection, scan, metadata, reference data."""

import json
import os
import pickle
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import skops.io
import xgboost
from sklearn.linear_model import LogisticRegression

from apps.accounts.models import User, Workspace
from apps.core.errors import Conflict, Invalid
from apps.registry import services, storage
from apps.registry.models import Model
from apps.registry.services import Upload
from tests.registry.conftest import SAMPLE


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("true",)


def upload(path: Path) -> Upload:
    return Upload(path.name, [path.read_bytes()])


def logistic() -> LogisticRegression:
    return LogisticRegression().fit(np.array([[0.0, 1.0], [1.0, 0.0]]), [0, 1])


def test_a_joblib_file_is_recognised_with_its_version(
    model: Model, operator: User, tmp_path: Path
) -> None:
    joblib.dump(logistic(), tmp_path / "model.joblib", compress=3)
    version = services.add_version(
        model=model, artifact=upload(tmp_path / "model.joblib"), by=operator
    )
    assert (version.framework, version.format) == ("sklearn", "joblib")
    assert version.framework_version == __import__("sklearn").__version__
    assert version.number == 1
    assert storage.intact(version.artifact.sha256)


def test_a_skops_file_has_no_risk(model: Model, operator: User, tmp_path: Path) -> None:
    skops.io.dump(logistic(), tmp_path / "model.skops")
    version = services.add_version(
        model=model, artifact=upload(tmp_path / "model.skops"), by=operator
    )
    assert version.format == "skops"
    assert version.artifact.scan == {"risk": "none", "findings": []}


@pytest.mark.parametrize("ending", ["json", "ubj"])
def test_an_xgboost_file_is_recognised(
    ending: str, model: Model, operator: User, tmp_path: Path
) -> None:
    trained = xgboost.XGBClassifier(n_estimators=2).fit(np.eye(4), [0, 1, 0, 1])
    trained.save_model(tmp_path / f"model.{ending}")
    version = services.add_version(
        model=model, artifact=upload(tmp_path / f"model.{ending}"), by=operator
    )
    assert (version.framework, version.format) == ("xgboost", f"xgboost-{ending}")


def test_a_pickle_that_calls_the_system_is_called_dangerous(
    model: Model, operator: User, tmp_path: Path
) -> None:
    (tmp_path / "model.pkl").write_bytes(pickle.dumps([logistic(), Evil()]))
    version = services.add_version(
        model=model, artifact=upload(tmp_path / "model.pkl"), by=operator
    )
    assert version.artifact.scan["risk"] == "dangerous"
    assert version.artifact.scan["findings"][0]["what"] == "posix.system"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"just text", "no model that can be served"),
        (b"", "empty"),
        (pickle.dumps({"a": 1}), "no scikit-learn model"),
        (pickle.dumps(logistic())[:-200], "damaged or cut off"),
        (b'{"a": 1}', "no XGBoost model"),
        (b"PK\x03\x04 broken", "damaged"),
    ],
)
def test_a_file_that_is_no_model_is_refused(
    content: bytes, message: str, model: Model, operator: User
) -> None:
    with pytest.raises(Invalid, match=message):
        services.add_version(model=model, artifact=Upload("x.pkl", [content]), by=operator)
    assert model.versions.count() == 0


def test_a_sample_becomes_features_example_and_reference_data(
    model: Model, operator: User, tmp_path: Path
) -> None:
    skops.io.dump(logistic(), tmp_path / "model.skops")
    version = services.add_version(
        model=model,
        artifact=upload(tmp_path / "model.skops"),
        sample=Upload("sample.csv", [SAMPLE]),
        target="outcome",
        by=operator,
    )
    names = {f["name"]: f for f in version.metadata["features"]}
    assert list(names) == ["age", "income", "city"]
    assert names["age"] == {
        "name": "age",
        "type": "integer",
        "observedMin": 23,
        "observedMax": 41,
        "observedMean": 33.0,
    }
    assert names["income"]["nullable"] is True
    assert names["city"]["categories"] == ["Ede", "Urk"]
    first = version.metadata["exampleInput"]["instances"][0]
    assert first == {"age": 41, "income": 1000.5, "city": "Ede"}
    assert version.reference.rows == 3


def test_numbers_as_text_are_taken_as_the_official_client_writes_them(
    model: Model, operator: User, tmp_path: Path
) -> None:
    skops.io.dump(logistic(), tmp_path / "model.skops")
    version = services.add_version(
        model=model,
        artifact=upload(tmp_path / "model.skops"),
        metadata={"features": [{"name": "a", "observedMin": "1.5"}, {"name": "b"}]},
        by=operator,
    )
    assert version.metadata["features"][0]["observedMin"] == 1.5


def test_faults_in_metadata_are_named_by_path(model: Model, operator: User, tmp_path: Path) -> None:
    skops.io.dump(logistic(), tmp_path / "model.skops")
    metadata = {"features": [{"name": "a", "type": "colour"}, {}], "problemType": "guess"}
    with pytest.raises(Invalid) as raised:
        services.add_version(
            model=model,
            artifact=upload(tmp_path / "model.skops"),
            metadata=json.loads(json.dumps(metadata)),
            by=operator,
        )
    assert [error["field"] for error in raised.value.errors] == [
        "features[0].type",
        "features[1]",
        "problemType",
    ]


def test_a_name_is_taken_once_per_workspace(
    model: Model, workspace: Workspace, operator: User
) -> None:
    with pytest.raises(Conflict, match="already"):
        services.create_model(workspace=workspace, name="credit RISK", by=operator)

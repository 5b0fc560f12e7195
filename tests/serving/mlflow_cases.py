"""MLflow model folders as people bring them; runs in the environment of MLflow."""

import os
import tempfile
import warnings
import zipfile
from pathlib import Path
from typing import Any

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"

import mlflow  # noqa: E402
import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
from mlflow.models import infer_signature  # noqa: E402
from sklearn.compose import make_column_transformer  # noqa: E402
from sklearn.linear_model import LinearRegression, LogisticRegression  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import OneHotEncoder  # noqa: E402

from tests.serving.cases import FEATURES, Fitted, outcome, records, table  # noqa: E402


def _zipped(fitted: Fitted, path: Path) -> None:
    save, signature = fitted.model
    folder = Path(tempfile.mkdtemp()) / "model"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        save(folder, signature)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for each in sorted(folder.rglob("*")):
            archive.write(each, each.relative_to(folder))


FORMATS = {"mlflow": _zipped}


def _sklearn(model: Any, format_: str = "cloudpickle") -> Any:
    def save(folder: Path, signature: Any) -> None:
        mlflow.sklearn.save_model(model, folder, signature=signature, serialization_format=format_)

    return save


def _pyfunc(model: Any) -> Any:
    def save(folder: Path, signature: Any) -> None:
        mlflow.pyfunc.save_model(folder, python_model=model, signature=signature)

    return save


def _signature(frame: Any, answers: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return infer_signature(frame, answers)


def a_pipeline_on_columns_of_all_types() -> Fitted:
    frame = table()
    encoded = make_column_transformer((OneHotEncoder(), ["city"]), remainder="passthrough")
    model = make_pipeline(encoded, LogisticRegression(max_iter=2000)).fit(frame, outcome(frame))
    rows = frame.head(12)
    saved = (_sklearn(model), _signature(frame, model.predict(frame)))
    meta = {"features": FEATURES, "problemType": "classification"}
    return Fitted(saved, records(rows), model.predict(rows), meta)


def a_regression_in_skops() -> Fitted:
    frame = table()[["income", "age"]]
    model = LinearRegression().fit(frame, frame["income"] * 1.5)
    rows = frame.head(8)
    saved = (_sklearn(model, "skops"), _signature(frame, model.predict(frame)))
    return Fitted(saved, records(rows), model.predict(rows), {"features": FEATURES[:2]})


def without_a_signature() -> Fitted:
    frame = table()[["income", "age"]]
    model = LinearRegression().fit(frame, frame["income"] * 1.5)
    rows = frame.head(8)
    meta = {"features": FEATURES[:2]}
    return Fitted((_sklearn(model), None), records(rows), model.predict(rows), meta)


class _Several(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
    def predict(self, context: Any, model_input: pd.DataFrame, params: Any = None) -> Any:
        total = model_input.sum(axis=1)
        return pd.DataFrame({"total": total, "large": total > 2000})


def several_columns_out() -> Fitted:
    frame = table()[["income", "age"]]
    rows = frame.head(6)
    total = rows.sum(axis=1)
    expected = [{"total": each, "large": bool(each > 2000)} for each in total.tolist()]
    saved = (_pyfunc(_Several()), _signature(frame, None))
    return Fitted(saved, records(rows), expected, {"features": FEATURES[:2]})


class _Tensor(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        return np.asarray(model_input, dtype=np.float64).sum(axis=(1, 2))


def a_tensor() -> Fitted:
    images = np.random.default_rng(3).random((5, 2, 3))
    saved = (_pyfunc(_Tensor()), _signature(images, images.sum(axis=(1, 2))))
    return Fitted(saved, images.tolist(), images.sum(axis=(1, 2)))


CASES = (
    a_pipeline_on_columns_of_all_types,
    a_regression_in_skops,
    without_a_signature,
    several_columns_out,
    a_tensor,
)

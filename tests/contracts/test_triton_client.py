"""Triton's own Python client, unchanged, against a real server: named columns, a matrix, images."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from apps.accounts.models import User, Workspace
from tests.contracts.client_venv import TRITON
from tests.contracts.conftest import python_or_skip, run_script
from tests.predictions.gateway.conftest import CASE, Served, serve

pytestmark = pytest.mark.slow
SCRIPT = Path(__file__).with_name("drive_triton.py")
PROBABILITIES = {"problemType": "classificationWithProbabilities"}


@pytest.fixture(scope="session")
def python() -> Path:
    """The client's own environment."""
    return python_or_skip(TRITON)


def driven(python: Path, served: Served, inputs: dict[str, Any]) -> Any:
    """What the client's calls returned."""
    given = {
        "url": f"127.0.0.1:{served.server.port}",
        "token": served.text,
        "model": served.deployment.slug,
        "inputs": inputs,
        "outputs": ["predict"],
    }
    return json.loads(run_script(python, SCRIPT, json.dumps(given)))


def assert_answers(got: Any, expected: Any) -> None:
    for way in ("bytes", "json", "mixed", "gzip", "everything"):
        np.testing.assert_allclose(got["answers"][way]["predict"], expected, atol=1e-12)
    assert got["answers"]["id"] == "mine"


def test_named_columns(python: Path, served: Served) -> None:
    inputs = {
        "age": {"datatype": "INT64", "data": [[35], [35]]},
        "city": {"datatype": "BYTES", "data": ["Goes", "Goes"]},
        "income": {"datatype": "FP64", "data": [1234.5, 1234.5]},
    }
    got = driven(python, served, inputs)
    assert_answers(got, [served.expected(CASE)] * 2)
    assert (got["live"], got["ready"], got["modelReady"]) == (True, True, True)
    assert got["server"]["extensions"] == ["binary_tensor_data"]
    assert [each["name"] for each in got["model"]["inputs"]] == ["age", "city", "income"]
    assert got["model"]["outputs"] == [{"name": "predict", "datatype": "FP64", "shape": [-1, 2]}]
    assert 'The input "age" is there twice' in got["refused"]


@pytest.fixture(params=[(64,), (8, 8)], ids=["matrix", "images"])
def digits(
    request: pytest.FixtureRequest,
    transactional_db: None,
    workspace: Workspace,
    operator: User,
    tmp_path: Path,
) -> Iterator[tuple[Served, Any]]:
    images = (load_digits().images[:300] / 16).astype("<f4").reshape(-1, *request.param)
    flat = FunctionTransformer(np.reshape, kw_args={"shape": (-1, 64)})
    model = make_pipeline(flat, LogisticRegression(max_iter=1000))
    joblib.dump(model.fit(images, load_digits().target[:300]), tmp_path / "m.joblib")
    metadata = PROBABILITIES | {"exampleInput": {"instances": images[:1].tolist()}}
    for served in serve(workspace, operator, tmp_path / "m.joblib", model, metadata):
        yield served, images[:4]


def test_a_matrix_and_images(python: Path, digits: tuple[Served, Any]) -> None:
    served, images = digits
    got = driven(python, served, {"input": {"datatype": "FP32", "data": images.tolist()}})
    assert_answers(got, served.model.predict_proba(images.astype(float)))
    assert got["model"]["outputs"][0]["shape"] == [-1, 10]

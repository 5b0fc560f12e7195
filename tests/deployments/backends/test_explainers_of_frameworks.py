"""Explainers of every framework, each a locked-in server in the environment that the product
builds for it: parts that add up, the model's own answers, and the same bytes twice."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from apps.core.ids import uuid7
from apps.deployments import explainers, model_client
from apps.deployments.backends.base import ReplicaSpec
from apps.deployments.backends.process import ProcessBackend
from apps.deployments.environments import lists
from apps.deployments.models import Component, Replica
from apps.registry import archives, storage
from apps.registry.models import ModelVersion
from apps.serving.spec import Explaining, ServerSpec
from tests.deployments.backends.contract import is_ready, wait_for
from tests.serving import contract
from tests.serving.contract import Served
from tests.serving.environments import built

pytestmark = [pytest.mark.slow, pytest.mark.django_db]

MEMORY = 3 * 1024**3
ROWS = 3
GRADIENTS = {"integrated_gradients", "saliency"}
# Framework, format and case of the model, and the methods that explain it.
SERVERS = [
    ("pytorch", "torchscript", "digits", ("integrated_gradients", "saliency")),
    ("pytorch", "torch-export", "named_columns", ("integrated_gradients",)),
    ("tensorflow", "keras", "digits", ("integrated_gradients",)),
    ("tensorflow", "saved-model", "named_columns", ("integrated_gradients",)),
    ("lightgbm", "lightgbm-text", "categories", ("shap.native",)),
    ("catboost", "catboost-cbm", "categories", ("shap.native",)),
    ("onnx", "onnx", "named_columns", ("shap.permutation", "lime")),
    ("mlflow", "mlflow", "a_regression_in_skops", ("shap.permutation",)),
    ("mlflow", "mlflow", "a_pipeline_on_columns_of_all_types", ("shap.permutation",)),
]
# A model that gives labels alone cannot be asked for its classes.
NAMED = {"a_pipeline_on_columns_of_all_types": {"predictionClasses": {"no": 0, "yes": 1}}}


def spec_of(served: Served, methods: tuple[str, ...]) -> ReplicaSpec:
    """An explainer's replica, stored and unpacked as an upload is, in its own environment."""
    spec = served.spec
    version = ModelVersion(framework=spec.framework, format=spec.format)
    environment = lists.environment_explaining(version, list(methods))
    assert environment is not None
    stored = storage.store([Path(spec.artifact).read_bytes()])
    server = ServerSpec(
        model_client.MODEL_NAME,
        spec.framework,
        spec.format,
        str(archives.place_of(stored.sha256, spec.format)),
        spec.metadata,
        explaining=Explaining(
            tuple({"name": method, "method": method} for method in methods),
            background_of(served, methods),
            seed=7,
        ),
    )
    place = built(environment).parent.parent
    return ReplicaSpec(uuid7(), server, MEMORY, environment=str(place))


def background_of(served: Served, methods: tuple[str, ...]) -> str:
    """The case's own rows, where a method measures against rows."""
    if set(methods) <= GRADIENTS | {"shap.native"}:
        return ""
    text = pd.DataFrame(served.fitted.instances).to_csv(index=False)
    return str(storage.store([text.encode()]).path)


@contextmanager
def running(spec: ReplicaSpec) -> Iterator[str]:
    """The address of the explainer once it is ready."""
    backend = ProcessBackend()
    handle = backend.start(spec)
    try:
        wait_for(backend, handle, lambda: is_ready(backend, handle))
        yield backend.address(handle)
    finally:
        backend.stop(handle, grace_seconds=5)


def assert_adds_up(answer: dict[str, Any]) -> None:
    """Start and parts make the score; of LIME the local model's."""
    if answer["method"] == "saliency":
        assert np.abs(answer["picture"]["values"]).max() > 0
        return
    if "picture" in answer:
        parts = float(np.sum(answer["picture"]["values"]))
    else:
        parts = sum(each["contribution"] for each in answer["contributions"])
    told = answer["fidelity"].get("localPrediction", answer["prediction"])
    tolerance = 0.005 if answer["method"] in GRADIENTS else 1e-6
    assert answer["baseValue"] + parts == pytest.approx(told, rel=tolerance, abs=tolerance)


def as_sent(answers: list[list[dict[str, Any]]]) -> bytes:
    """The answers but for what the clock says."""
    for answer in [each for row in answers for each in row]:
        del answer["milliseconds"], answer["budget"]["secondsUsed"]
    return json.dumps(answers).encode()


@pytest.mark.parametrize(
    ("framework", "format_", "case", "methods"),
    SERVERS,
    ids=[f"{framework}-{case}" for framework, _, case, _ in SERVERS],
)
def test_an_explainer_runs_in_the_environment_of(
    framework: str, format_: str, case: str, methods: tuple[str, ...], tmp_path: Path
) -> None:
    kind = next(each for each in contract.FRAMEWORKS if each.name == framework)
    served = contract.written(kind, format_, case, tmp_path)
    served.spec.metadata.update(NAMED.get(case, {}))
    asked = served.fitted.instances[:ROWS]
    with running(spec_of(served, methods)) as address:
        replica = Replica(address=address, component=Component(config={}))
        first, second = (explainers.explained(replica, asked) for _ in range(2))
    for row, expected in zip(first, served.fitted.expected, strict=False):
        assert [answer["method"] for answer in row] == list(methods)
        for answer in row:
            assert_adds_up(answer)
            assert answer["output"] == pytest.approx(expected, abs=1e-6)
    assert as_sent(first) == as_sent(second)

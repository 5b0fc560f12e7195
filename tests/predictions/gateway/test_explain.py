"""Explanations with predictions: in the answer, in the record, and where they are refused."""

import json
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from apps.accounts.models import User, Workspace
from apps.deployments.explainer_files import take_explainer
from apps.deployments.explainers import Explainer, Method
from apps.deployments.models import Component, Replica
from apps.deployments.services import notify_routes
from apps.deployments.transformer_files import take_module
from apps.deployments.transformers import Transformer
from apps.predictions import services
from apps.predictions.models import PredictionRecord, RequestRecord
from apps.predictions.verification import verify_seals
from apps.registry.services import Upload
from tests.predictions.gateway.conftest import CASE, SAMPLE, Served, serving
from tests.predictions.gateway.test_transformer import CHANGES_UNITS, EXAMPLE, RAW

METHODS = (Method("shap", "shap.linear"), Method("what-if", "counterfactuals"))

Serve = Callable[..., Served]


@pytest.fixture
def serve(
    transactional_db: None, workspace: Workspace, operator: User, tmp_path: Path
) -> Iterator[Serve]:
    """Serves the pipeline with these methods to explain it, behind a transformer if any."""
    with ExitStack() as stack:

        def started(
            *methods: Method, transformer: Transformer | None = None, **given: Any
        ) -> Served:
            explainer = Explainer(methods or METHODS, seed=7, **given)
            running = serving(workspace, operator, tmp_path, transformer, explainer)
            return stack.enter_context(running)

        yield started


def explain(served: Served, body: Any, query: str = "") -> tuple[int, Any, dict[str, str]]:
    path = served.path.replace("/predict", "/explain")
    return served.predict(body, path + query)


def test_answers_predictions_with_their_explanations(serve: Serve) -> None:
    served = serve()
    status, body, headers = explain(served, {"instances": [CASE, CASE | {"age": 60}]})
    assert (status, len(body["explanations"])) == (200, 2)
    assert body["predictions"][0] == served.expected(CASE)
    first = body["explanations"][0]
    shap, what_if = first["explainers"]
    assert (shap["name"], what_if["name"]) == ("shap", "what-if")
    total = shap["baseValue"] + sum(first["shap_values"])
    assert total == pytest.approx(shap["prediction"], abs=1e-6)
    assert body["requestLogId"] == headers["x-request-log-id"]
    assert len(body["predictionLogIds"]) == 2


def test_the_same_request_is_recorded_with_the_same_explanation_and_verifies(serve: Serve) -> None:
    served = serve()
    for _ in range(2):
        explain(served, {"instances": [CASE]})
    first, second = [p.explanation_values for p in PredictionRecord.objects.order_by("id")]
    assert [each["name"] for each in first] == ["shap", "what-if"]
    assert steady(first) == steady(second)
    assert first[0]["seed"] == 7
    request = RequestRecord.objects.order_by("id").last()
    assert request is not None
    assert (request.endpoint, request.status_code) == ("explain", 200)
    assert 0 < (request.explain_us or 0) < request.duration_us
    assert list(verify_seals()) == []


def steady(answers: list[dict[str, Any]]) -> str:
    """Without the times, which are all that may differ."""
    for each in answers:
        del each["milliseconds"], each["budget"]["secondsUsed"]
    return json.dumps(answers)


def test_an_edit_of_an_explanation_shows_and_an_erasure_takes_it(
    serve: Serve, operator: User
) -> None:
    served = serve(METHODS[0])
    _, body, _ = explain(served, {"instances": [CASE, CASE]})
    served.predict({"instances": [CASE]})
    edited, erased = (PredictionRecord.objects.get(id=i) for i in body["predictionLogIds"])
    services.erase_prediction(
        prediction=erased, reason="Asked for", by=operator.actor, now=timezone.now()
    )
    erased.refresh_from_db()
    assert erased.explanations is None
    assert list(verify_seals()) == []
    PredictionRecord.objects.filter(id=edited.id).update(explanations=None)
    assert [p.message for p in verify_seals()] == ["its content is not what was recorded"]


def test_one_method_may_be_picked_by_its_name(serve: Serve) -> None:
    _, body, _ = explain(serve(), {"instances": [CASE]}, "?explainer=what-if")
    [found] = body["explanations"][0]["explainers"]
    assert found["method"] == "counterfactuals"


def test_an_unknown_name_is_a_404_with_those_there_are(serve: Serve) -> None:
    status, body, _ = explain(serve(), {"instances": [CASE]}, "?explainer=lime")
    assert (status, body["message"]) == (
        404,
        "There is no explainer lime here; there are shap, what-if.",
    )
    assert RequestRecord.objects.get().status_code == 404


def test_the_other_families_explain_too(serve: Serve) -> None:
    served = serve(METHODS[0])
    families = {
        "/v1/models/credit-risk:explain": "predictions",
        "/v2/models/credit-risk/explain": "outputs",
    }
    for path, key in families.items():
        status, body, _ = served.predict({"instances": [CASE]}, path)
        assert (status, key in body) == (200, True)
        assert body["explanations"][0]["explainers"][0]["method"] == "shap.linear"


def test_without_an_explainer_it_is_a_409_that_says_how_to_add_one(served: Served) -> None:
    text = {"Authorization": f"Bearer {served.text}"}
    path = served.path.replace("/predict", "/explain")
    served.token.scopes = ["predict", "explain"]
    served.token.save()
    notify_routes()
    served.wait_for(lambda: served.server.request("POST", path, {}, text)[0] == 409)
    status, body, _ = served.server.request("POST", path, {"instances": [CASE]}, text)
    assert (status, "Add one by a new revision" in body["message"]) == (409, True)


def test_too_many_instances_are_refused_before_anything_is_decided(serve: Serve) -> None:
    status, body, _ = explain(serve(METHODS[0]), {"instances": [CASE] * 10_000})
    assert (status, "at most 100 are explained" in body["message"]) == (400, True)
    assert not PredictionRecord.objects.exists()


def test_bad_instances_are_refused_as_for_predictions(serve: Serve) -> None:
    status, body, _ = explain(serve(METHODS[0]), {"instances": [CASE | {"age": "old"}]})
    assert (status, body["errors"][0]["feature"]) == (400, "age")


def test_a_method_that_runs_out_of_time_is_a_504_recorded_without_a_part_of_it(
    serve: Serve,
) -> None:
    served = serve(Method("lime", "lime", {"samples": 20_000}))
    served.server.stop()
    served.server.environment["EXPLAIN_SECONDS"] = "1"
    served.server.start()
    status, body, headers = explain(served, {"instances": [CASE] * 100})
    assert status == 504, body
    assert "not finished within 1 seconds" in body["message"]
    record = RequestRecord.objects.get(id=headers["x-request-log-id"])
    assert (record.status_code, record.error, record.count) == (504, body["message"], 0)
    assert not PredictionRecord.objects.exists()
    assert served.predict({"instances": [CASE]})[0] == 200


def test_a_dead_explainer_leaves_the_model_serving_and_comes_back(serve: Serve) -> None:
    served = serve(METHODS[0])
    replica = Replica.objects.get(component__kind=Component.Kind.EXPLAINER)
    os.kill(replica.handle["pid"], signal.SIGKILL)
    served.reconciler.tick(timezone.now())
    status, body, _ = explain(served, {"instances": [CASE]})
    assert (status, "explainer" in body["message"]) == (503, True)
    assert served.predict({"instances": [CASE]})[0] == 200

    def back() -> bool:
        served.reconciler.tick(timezone.now())
        return explain(served, {"instances": [CASE]})[0] == 200

    served.wait_for(back, seconds=40)


def test_explains_what_the_model_got_from_the_transformer(
    serve: Serve, workspace: Workspace
) -> None:
    artifact = take_module(workspace, Upload("transformer.py", [CHANGES_UNITS.encode()]))
    transformer = Transformer(artifact=artifact, reason="Read by two", metadata=EXAMPLE)
    served = serve(METHODS[0], transformer=transformer)
    status, body, _ = explain(served, {"instances": [RAW]})
    assert status == 200
    parts = body["explanations"][0]["explainers"][0]["contributions"]
    assert [part["feature"] for part in parts] == list(SAMPLE.columns)
    assert {part["feature"]: part["value"] for part in parts} == CASE


def test_a_module_that_fails_on_a_case_is_a_502_in_its_words_and_recorded(
    serve: Serve, workspace: Workspace
) -> None:
    text = b"""
def explain(instances, predict):
    if instances[0]["age"] > 90:
        raise ValueError("nobody is that old")
    return [{"reasons": [{"code": "A", "text": "Age", "features": ["age"], "share": 1.0}]}]
"""
    module = take_explainer(workspace, Upload("explainer.py", [text]))
    served = serve(METHODS[0], module=module, reason="Read by two")
    status, body, _ = explain(served, {"instances": [CASE]})
    assert status == 200, body
    own = body["explanations"][0]["explainers"][1]
    assert (own["name"], own["reasons"][0]["text"]) == ("custom", "Age")
    status, body, headers = explain(served, {"instances": [CASE | {"age": 99}]})
    assert (status, "ValueError: nobody is that old" in body["message"]) == (502, True)
    assert RequestRecord.objects.get(id=headers["x-request-log-id"]).error == body["message"]

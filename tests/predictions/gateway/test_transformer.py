"""A transformer before and after the model, in the answer and in the record."""

import io
import json
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from apps.accounts.models import User, Workspace
from apps.deployments.run_settings import RunSettings
from apps.deployments.transformer_files import take_module
from apps.deployments.transformers import Transformer
from apps.predictions.models import PredictionRecord, RequestRecord
from apps.predictions.verification import verify_seals
from apps.registry.services import Upload
from tests.predictions.gateway.conftest import CASE, Served, serving

RAW = {"age": 35, "town": "Goes", "income_cents": 123450}
EXAMPLE = {"exampleInput": {"instances": [RAW]}}
CHANGES_UNITS = """
def preprocess(instances):
    return [
        {"age": row["age"], "city": row["town"], "income": row["income_cents"] / 100}
        for row in instances
    ]


async def postprocess(predictions):
    return [{"good": row[0], "bad": row[1]} for row in predictions]
"""
FEATURES = [
    {"name": "age", "type": "integer"},
    {"name": "town", "type": "text"},
    {"name": "income_cents", "type": "integer"},
]

Serve = Callable[..., Served]


@pytest.fixture
def serve(
    transactional_db: None, workspace: Workspace, operator: User, tmp_path: Path
) -> Iterator[Serve]:
    """Serves the pipeline behind a transformer with this source."""
    with ExitStack() as stack:

        def started(source: str | bytes, **given: Any) -> Served:
            content = source.encode() if isinstance(source, str) else source
            artifact = take_module(workspace, Upload("transformer.py", [content]))
            transformer = Transformer(artifact=artifact, reason="Read by two", **given)
            running = serving(workspace, operator, tmp_path, transformer)
            return stack.enter_context(running)

        yield started


def failing(step: str, line: str) -> str:
    """A transformer that lets the example pass and does `line` for an age of 99."""
    return f"""
import json, time

def {step}(rows):
    if "99" in json.dumps(rows):
        {line}
    return rows
"""


def test_changes_units_before_and_names_after_the_model(serve: Serve) -> None:
    served = serve(CHANGES_UNITS, metadata=EXAMPLE)
    status, body, _ = served.predict({"instances": [RAW]})
    expected = dict(zip(["good", "bad"], served.expected(CASE), strict=True))
    assert (status, body["predictions"]) == (200, [expected])


def test_records_what_went_in_and_out_of_the_model(serve: Serve) -> None:
    served = serve(CHANGES_UNITS, metadata=EXAMPLE)
    _, body, _ = served.predict({"instances": [RAW]})
    record = PredictionRecord.objects.get(id=body["predictionLogIds"][0])
    assert json.loads(record.input or "") == RAW
    assert json.loads(record.model_input or "") == CASE
    assert json.loads(record.model_output or "") == served.expected(CASE)
    assert json.loads(record.output or "") == body["predictions"][0]


def test_the_outcome_is_the_models_where_a_step_makes_an_object_of_it(serve: Serve) -> None:
    served = serve(CHANGES_UNITS, metadata=EXAMPLE)
    served.predict({"instances": [RAW]})
    record = PredictionRecord.objects.get()
    expected = served.expected(CASE)
    assert record.outcome == ("good" if expected[0] > expected[1] else "bad")
    assert record.score == repr(max(expected))


def test_records_how_long_each_step_took(serve: Serve) -> None:
    served = serve(CHANGES_UNITS, metadata=EXAMPLE)
    served.predict({"instances": [RAW]})
    record = RequestRecord.objects.get()
    assert 0 < (record.preprocess_us or 0) + (record.postprocess_us or 0) < record.duration_us


def test_the_chain_of_such_records_verifies_and_an_edit_shows(serve: Serve) -> None:
    served = serve(CHANGES_UNITS, metadata=EXAMPLE)
    _, body, _ = served.predict({"instances": [RAW, RAW]})
    assert list(verify_seals()) == []
    edited = PredictionRecord.objects.filter(id=body["predictionLogIds"][0])
    edited.update(model_input=None)
    assert [problem.message for problem in verify_seals()] == [
        "its content is not what was recorded"
    ]


def test_what_a_step_leaves_alone_is_recorded_once(serve: Serve) -> None:
    served = serve("def preprocess(instances):\n    return instances\n")
    served.predict({"instances": [CASE]})
    record = PredictionRecord.objects.get()
    assert (record.model_input, record.model_output) == (None, None)
    assert RequestRecord.objects.get().postprocess_us is None


def test_raw_input_is_checked_where_the_transformer_describes_it(serve: Serve) -> None:
    served = serve(CHANGES_UNITS, metadata=EXAMPLE | {"features": FEATURES})
    status, body, _ = served.predict({"instances": [RAW | {"income_cents": "much"}]})
    assert (status, body["errors"][0]["feature"]) == (400, "income_cents")


def test_transformed_input_is_checked_where_it_does_not(serve: Serve) -> None:
    served = serve(CHANGES_UNITS, metadata=EXAMPLE)
    status, body, _ = served.predict({"instances": [RAW | {"town": "Atlantis"}]})
    assert (status, body["errors"][0]["feature"]) == (400, "city")


def test_an_error_is_a_502_in_its_own_words_and_recorded(serve: Serve) -> None:
    served = serve(failing("preprocess", 'raise ValueError("no age beyond 98")'))
    status, body, headers = served.predict({"instances": [CASE | {"age": 99}]})
    text = "The transformer's preprocess failed: ValueError: no age beyond 98"
    assert (status, body["message"]) == (502, text)
    record = RequestRecord.objects.get(id=headers["x-request-log-id"])
    assert (record.status_code, record.error) == (502, text)
    assert list(verify_seals()) == []


def test_a_hang_is_a_504_and_others_are_answered_meanwhile(serve: Serve) -> None:
    served = serve(failing("preprocess", "time.sleep(60)"))
    served.server.stop()
    served.server.environment["PREDICT_TIMEOUT_SECONDS"] = "1"
    served.server.start()
    started = time.monotonic()
    status, body, _ = served.predict({"instances": [CASE | {"age": 99}]})
    assert (status, time.monotonic() - started < 5) == (504, True)
    assert "preprocess did not answer within 1 seconds" in body["message"]
    assert served.predict({"instances": [CASE]})[0] == 200


@pytest.mark.parametrize(
    ("step", "what"), [("preprocess", "instances"), ("postprocess", "predictions")]
)
def test_a_wrong_number_of_rows_is_a_502(serve: Serve, step: str, what: str) -> None:
    source = f"def {step}(rows):\n    return rows[:1]\n"
    served = serve(source)
    status, body, _ = served.predict({"instances": [CASE, CASE]})
    assert status == 502
    assert body["message"] == f"The transformer's {step} gave 1 {what} for 2."


def test_a_zip_brings_what_the_module_imports(serve: Serve) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("transformer.py", "from units import preprocess\n")
        archive.writestr("units.py", CHANGES_UNITS.partition("async")[0])
    served = serve(packed.getvalue(), metadata=EXAMPLE)
    status, body, _ = served.predict({"instances": [RAW]})
    assert (status, body["predictions"]) == (200, [served.expected(CASE)])


def test_one_of_two_transformers_ends_and_no_request_fails(serve: Serve) -> None:
    served = serve(CHANGES_UNITS, metadata=EXAMPLE, run=RunSettings(min_replicas=2, max_replicas=2))
    component = served.deployment.active_revision.components.get(kind="transformer")
    replica = component.replicas.first()
    backend = served.reconciler.backend_for("process")
    backend.stop(replica.handle, grace_seconds=0)
    answers = {served.predict({"instances": [RAW]})[0] for _ in range(20)}
    assert answers == {200}

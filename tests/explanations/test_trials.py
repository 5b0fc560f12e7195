"""Explainers are tried out in real servers, each apart, and no server outlives its trial."""

import threading
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
import skops.io
from django.db import connections
from django.utils import timezone
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder

from apps.accounts.models import User, Workspace
from apps.audit.models import Event
from apps.core.errors import Invalid
from apps.core.ids import uuid7
from apps.deployments import trial_server
from apps.deployments.explainers import NO_EXPLAINER, Explainer, Method
from apps.explanations import trials
from apps.explanations.models import ExplainerTrial
from apps.explanations.tasks import end_left_trials
from apps.registry import services as registry
from apps.registry.models import ModelVersion
from apps.registry.services import Upload
from tests.predictions.gateway.conftest import METADATA, SAMPLE, background

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]
METHODS = (Method("linear", "shap.linear"), Method("trees", "shap.tree"))


@pytest.fixture
def version(workspace: Workspace, operator: User, tmp_path: Path) -> ModelVersion:
    encode = ColumnTransformer([("c", OneHotEncoder(), ["city"])], remainder="passthrough")
    model = Pipeline([("encode", encode), ("regress", LogisticRegression())])
    model.fit(SAMPLE.astype({"city": object}), [0, 1, 0, 1, 1, 0])
    skops.io.dump(model, tmp_path / "m.skops")
    return registry.add_version(
        model=registry.create_model(workspace=workspace, name="Logistic", by=operator),
        artifact=Upload("m.skops", [(tmp_path / "m.skops").read_bytes()]),
        metadata=METADATA,
        sample=Upload("rows.csv", [background().to_csv(index=False).encode()]),
        by=operator,
    )


def asked(version: ModelVersion, by: User, *methods: Method) -> ExplainerTrial:
    explainer = Explainer(methods or METHODS)
    return trials.ask_for_trial(version=version, explainer=explainer, by=by, now=timezone.now())


def running(handle: dict[str, Any]) -> bool:
    return psutil.pid_exists(handle["pid"])


def test_each_method_is_measured_on_ten_rows_and_a_refusal_is_told(
    version: ModelVersion, operator: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[dict[str, Any]] = []
    start = trial_server.start

    def noted(**given: Any) -> dict[str, Any]:
        started.append(start(**given))
        return started[-1]

    monkeypatch.setattr(trial_server, "start", noted)
    trial = asked(version, operator)
    assert trials.perform(identifier=trial.id) == "done"
    assert trials.perform(identifier=trial.id) == "nothing to do"
    trial.refresh_from_db()
    linear, trees = trial.results
    assert (linear["name"], linear["method"]) == ("linear", "shap.linear")
    assert (linear["of"], len(linear["milliseconds"])) == ("background", 10)
    assert min(linear["milliseconds"]) > 0
    assert {part["feature"] for part in linear["example"]["contributions"]} == set(SAMPLE)
    assert "does not suit this model" in trees["refused"]
    assert (trial.state, trial.handle) == ("done", {})
    assert [running(handle) for handle in started] == [False, False]
    event = Event.objects.get(name="explanation.trial_asked")
    assert "linear, trees" in (event.data or "")


def test_what_cannot_explain_the_version_is_refused_at_once(
    version: ModelVersion, operator: User
) -> None:
    with pytest.raises(Invalid, match="Choose a method first"):
        trials.ask_for_trial(
            version=version, explainer=NO_EXPLAINER, by=operator, now=timezone.now()
        )
    with pytest.raises(Invalid, match="no method magic"):
        asked(version, operator, Method("m", "magic"))
    assert not ExplainerTrial.objects.exists()


def test_a_cancelled_trial_ends_its_server(version: ModelVersion, operator: User) -> None:
    trial = asked(version, operator, METHODS[0])
    said: list[str] = []

    def work() -> None:
        said.append(trials.perform(identifier=trial.id))
        connections.close_all()

    worker = threading.Thread(target=work)
    worker.start()
    handle = wait_for_handle(trial)
    assert running(handle)
    trials.cancel(trial=trial)
    worker.join(30)
    assert said == ["cancelled"]
    trial.refresh_from_db()
    assert (trial.state, trial.handle, running(handle)) == ("cancelled", {}, False)


def wait_for_handle(trial: ExplainerTrial) -> dict[str, Any]:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        trial.refresh_from_db()
        if trial.handle:
            return dict(trial.handle)
        time.sleep(0.02)
    raise AssertionError("no server was started")


def test_the_controller_ends_what_a_dead_worker_left(version: ModelVersion, operator: User) -> None:
    trial, now = asked(version, operator, METHODS[0]), timezone.now()
    handle = trial_server.start(
        identifier=uuid7(), version=version, method=METHODS[0], given=Explainer(METHODS),
        backend="process", now=now,
    )  # fmt: skip
    ExplainerTrial.objects.filter(id=trial.id).update(state="working", handle=handle)
    assert trials.living_handles() == [handle]
    assert trials.end_left(now=now) == 0
    assert running(handle)
    assert trials.end_left(now=now + timedelta(minutes=4)) == 1
    trial.refresh_from_db()
    assert (trial.state, trial.handle, running(handle)) == ("failed", {}, False)
    assert "Measure again" in trials.fault(trial, now)
    assert trials.living_handles() == []


def test_a_look_costs_one_query_where_nothing_has_to_end(
    version: ModelVersion, operator: User, owner: User, django_assert_num_queries: Any
) -> None:
    with django_assert_num_queries(1):
        end_left_trials()
    going, done = asked(version, operator), asked(version, owner)
    living = {"state": "working", "handle": {"pid": 2**31 - 1}, "seen_at": timezone.now()}
    ExplainerTrial.objects.filter(id=going.id).update(**living)
    ExplainerTrial.objects.filter(id=done.id).update(state="done")
    with django_assert_num_queries(1):
        end_left_trials()


def test_a_new_trial_takes_the_place_of_the_one_before(
    version: ModelVersion, operator: User, owner: User
) -> None:
    first, others = asked(version, operator), asked(version, owner)
    second = asked(version, operator)
    states = {each.id: each.state for each in ExplainerTrial.objects.all()}
    assert states == {first.id: "cancelled", others.id: "waiting", second.id: "waiting"}
    assert trials.latest_trial(operator, version, timezone.now()) == second
    assert trials.latest_trial(operator, version, timezone.now() + timedelta(hours=2)) is None
    trials.end_left(now=timezone.now() + timedelta(hours=2))
    assert not ExplainerTrial.objects.exists()


def test_a_worker_that_does_not_run_is_named(version: ModelVersion, operator: User) -> None:
    trial = asked(version, operator)
    assert trials.fault(trial, timezone.now()) == ""
    later = timezone.now() + timedelta(minutes=11)
    assert "See whether the worker runs" in trials.fault(trial, later)

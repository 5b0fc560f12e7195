"""An explainer on its way to serve: with its revision, or not at all; real servers."""

import os
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
import skops.io
from django.utils import timezone
from sklearn.linear_model import LogisticRegression

from apps.accounts.models import User, Workspace
from apps.deployments import explainers, services
from apps.deployments.explainers import NO_EXPLAINER, Explainer, Method
from apps.deployments.models import Component, Deployment, Replica, Revision
from apps.deployments.reconcile import Reconciler
from apps.deployments.routes import load_routes
from apps.registry import services as registry
from apps.registry.services import Upload
from tests.deployments.test_controller import active, tick_until

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]
LINEAR = Explainer((Method("shap", "shap.linear"),))


@pytest.fixture
def reconciler() -> Iterator[Reconciler]:
    made = Reconciler()
    yield made
    made.stop_everything(timezone.now())


@pytest.fixture
def deployment(workspace: Workspace, operator: User, tmp_path: Path) -> Deployment:
    rows = pd.DataFrame({"a": [0.0, 1.0] * 20, "b": [1.0, 0.5, 0.0, 0.2] * 10})
    skops.io.dump(LogisticRegression().fit(rows, [0, 1] * 20), tmp_path / "m.skops")
    version = registry.add_version(
        model=registry.create_model(workspace=workspace, name="Logistic", by=operator),
        artifact=Upload("m.skops", [(tmp_path / "m.skops").read_bytes()]),
        sample=Upload("r.csv", [rows.to_csv(index=False).encode()]),
        by=operator,
    )
    return services.create_deployment(
        workspace=workspace,
        name="Credit risk",
        model_version=version,
        explainer=LINEAR,
        by=operator,
    )


def component_of(deployment: Deployment) -> Component:
    return Component.objects.get(revision=deployment.active_revision, kind=Component.Kind.EXPLAINER)


def test_it_starts_with_its_revision_and_says_what_it_has(
    deployment: Deployment, reconciler: Reconciler
) -> None:
    tick_until(reconciler, lambda: active(deployment) == 1, seconds=90)
    said = component_of(deployment).signature
    assert said["explainers"][0]["milliseconds"] > 0
    assert said["background"]["rows"] == 40
    [route] = load_routes()
    assert route.explainer is not None
    assert (len(route.explainer.targets), route.explainer.names) == (1, ("shap",))
    assert set(route.explainer.targets) & set(route.targets) == set()
    replica = Replica.objects.get(component=component_of(deployment))
    [given] = explainers.explained(replica, [{"a": 1.0, "b": 0.0}])
    assert given[0]["method"] == "shap.linear"


def test_it_gives_way_to_its_model(deployment: Deployment, reconciler: Reconciler) -> None:
    tick_until(reconciler, lambda: active(deployment) == 1, seconds=90)
    nice = {
        replica.component.kind: os.getpriority(os.PRIO_PROCESS, replica.handle["pid"])
        for replica in Replica.objects.select_related("component")
    }
    assert nice[Component.Kind.EXPLAINER] == nice[Component.Kind.MODEL] + 5


def test_after_a_restart_of_all_predictions_are_back_first(
    deployment: Deployment, reconciler: Reconciler
) -> None:
    tick_until(reconciler, lambda: active(deployment) == 1, seconds=90)
    reconciler.stop_everything(timezone.now())
    again = Reconciler()
    try:
        again.tick(timezone.now())
        replicas = Replica.objects.select_related("component")
        started = {each.component.kind: bool(each.handle) for each in replicas}
        assert started == {Component.Kind.MODEL: True, Component.Kind.EXPLAINER: False}

        def all_ready() -> bool:
            return {each.state for each in Replica.objects.all()} == {Replica.State.READY}

        tick_until(again, all_ready, seconds=90)
    finally:
        again.stop_everything(timezone.now())


def test_one_that_fails_its_start_keeps_the_old_revision_serving(
    deployment: Deployment, operator: User, reconciler: Reconciler
) -> None:
    tick_until(reconciler, lambda: active(deployment) == 1, seconds=90)
    trees = Explainer((Method("shap", "shap.tree"),))
    services.create_revision(deployment=deployment, explainer=trees, by=operator)

    def failed() -> bool:
        return deployment.revisions.get(number=2).state == Revision.State.FAILED

    tick_until(reconciler, failed, seconds=90)
    assert "shap (shap.tree) does not suit this model" in deployment.revisions.get(number=2).error
    assert active(deployment) == 1
    assert len(load_routes()[0].targets) == 1


def test_one_taken_away_leaves_no_server(
    deployment: Deployment, operator: User, reconciler: Reconciler
) -> None:
    tick_until(reconciler, lambda: active(deployment) == 1, seconds=90)
    services.create_revision(deployment=deployment, explainer=NO_EXPLAINER, by=operator)
    tick_until(reconciler, lambda: active(deployment) == 2, seconds=90)
    living = Replica.objects.filter(component__kind=Component.Kind.EXPLAINER).exclude(
        state=Replica.State.STOPPED
    )
    tick_until(reconciler, lambda: not living.exists())
    assert load_routes()[0].explainer is None

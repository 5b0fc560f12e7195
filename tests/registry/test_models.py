"""Renaming, describing and deleting models and versions."""

from pathlib import Path

import numpy as np
import pytest
import skops.io
import xgboost
from django.utils import timezone

from apps.accounts.models import User
from apps.audit.models import Event
from apps.core.errors import Conflict, Invalid
from apps.deployments.models import Component, Deployment, Revision, UseCase
from apps.registry import services
from apps.registry.compatibility import installed, warning
from apps.registry.models import Model, ModelVersion
from apps.registry.services import Upload


@pytest.fixture
def deployed(version: ModelVersion, operator: User) -> ModelVersion:
    workspace = version.model.workspace
    use_case = UseCase.objects.create(workspace=workspace, name="Loans", created_by=operator)
    deployment = Deployment.objects.create(
        workspace=workspace, use_case=use_case, name="Loan check", slug="loan", owner=operator
    )
    revision = Revision.objects.create(
        deployment=deployment,
        number=1,
        state="active",
        state_at=timezone.now(),
        created_by=operator,
    )
    Component.objects.create(revision=revision, model_version=version)
    return version


def test_a_renamed_model_keeps_its_address(model: Model, operator: User) -> None:
    services.change_model(model=model, name="Loan risk", by=operator.actor)
    model.refresh_from_db()
    assert (model.name, model.slug) == ("Loan risk", "credit-risk")
    event = Event.objects.get(name="model.changed")
    assert '"to":"Loan risk"' in event.data
    again = services.create_model(workspace=model.workspace, name="Credit risk", by=operator)
    assert again.slug == "credit-risk-2"


def test_a_change_of_nothing_leaves_no_event(model: Model, operator: User) -> None:
    services.change_model(model=model, name=model.name, description="", by=operator.actor)
    assert not Event.objects.filter(name="model.changed").exists()


def test_a_name_needs_a_letter(model: Model, operator: User) -> None:
    with pytest.raises(Invalid, match="letter or digit"):
        services.change_model(model=model, name="!?", by=operator.actor)


def test_a_model_that_is_not_deployed_goes_with_its_versions(
    version: ModelVersion, operator: User
) -> None:
    services.delete_model(model=version.model, by=operator.actor)
    assert not ModelVersion.objects.exists()
    assert version.artifact.sha256 in Event.objects.get(name="model.deleted").data


def test_a_deployed_model_stays_and_the_refusal_names_where(
    deployed: ModelVersion, operator: User
) -> None:
    for refused in (
        lambda: services.delete_version(version=deployed, by=operator.actor),
        lambda: services.delete_model(model=deployed.model, by=operator.actor),
    ):
        with pytest.raises(Conflict, match="Loan check"):
            refused()
    assert ModelVersion.objects.filter(pk=deployed.pk).exists()
    assert not Event.objects.filter(name__endswith="deleted").exists()


def test_only_a_blocked_version_can_be_let_through(
    version: ModelVersion, dangerous: ModelVersion, operator: User
) -> None:
    with pytest.raises(Conflict, match="nothing to override"):
        services.override_scan(version=version, reason="I know it", by=operator)
    assert dangerous.is_blocked
    with pytest.raises(Invalid, match="Say why"):
        services.override_scan(version=dangerous, reason="  ", by=operator)
    services.override_scan(version=dangerous, reason="Made by us", by=operator)
    assert not dangerous.is_blocked


def test_another_framework_version_is_warned_of() -> None:
    assert warning("sklearn", "joblib", installed("sklearn")) == ""
    assert "newer than" in warning("sklearn", "joblib", "99.1.0")
    assert "may load and differ" in warning("sklearn", "skops", "0.24.2")
    assert warning("xgboost", "xgboost-json", "1.7.0") == ""
    assert warning("sklearn", "joblib", "") == ""


def test_foreign_types_in_skops_are_trusted_by_name_once_somebody_answers(
    model: Model, operator: User, tmp_path: Path
) -> None:
    trained = xgboost.XGBClassifier(n_estimators=2).fit(np.eye(4), [0, 1, 0, 1])
    skops.io.dump(trained, tmp_path / "m.skops")
    artifact = Upload("m.skops", [(tmp_path / "m.skops").read_bytes()])
    draft = services.stage_upload(
        workspace=model.workspace, model=model, artifact=artifact, by=operator
    )
    names = ["xgboost.core.Booster", "xgboost.sklearn.XGBClassifier"]
    assert draft.is_blocked
    assert [found["what"] for found in draft.asked] == names
    foreign = services.publish_draft(draft=draft, by=operator)
    assert foreign.is_blocked
    assert foreign.trusted_types == []
    services.override_scan(version=foreign, reason="From xgboost itself", by=operator)
    assert not foreign.is_blocked
    assert foreign.trusted_types == names

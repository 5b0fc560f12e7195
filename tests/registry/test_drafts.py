"""An upload is staged, described and published, and nothing typed or sent is lost on the way."""

from datetime import timedelta

import pytest
from django.utils import timezone

from apps.accounts.models import User, Workspace
from apps.audit.models import Event
from apps.core.errors import Conflict, Invalid
from apps.registry import services, storage
from apps.registry.models import Artifact, Draft, Model, ModelVersion
from apps.registry.services import Upload
from tests.registry.conftest import SAMPLE


@pytest.fixture
def draft(workspace: Workspace, operator: User, files: dict[str, bytes]) -> Draft:
    return services.stage_upload(
        workspace=workspace,
        artifact=Upload("churn_model.skops", [files["model.skops"]]),
        sample=Upload("sample.csv", [SAMPLE]),
        target="outcome",
        by=operator,
    )


def test_a_draft_knows_what_the_file_is_and_what_the_sample_shows(draft: Draft) -> None:
    assert draft.detected["framework"] == "sklearn"
    assert draft.name == "Churn model"
    assert draft.columns == ["age", "income", "city", "outcome"]
    assert [feature["name"] for feature in draft.metadata["features"]] == ["age", "income", "city"]


def test_a_published_draft_is_a_version_of_a_new_model(draft: Draft, operator: User) -> None:
    version = services.publish_draft(draft=draft, by=operator)
    assert (version.model.name, version.number) == ("Churn model", 1)
    assert version.reference.rows == 3
    assert not Draft.objects.exists()
    names = list(Event.objects.order_by("number").values_list("name", flat=True))
    assert names == ["model.created", "model.version_added"]


def test_publishing_under_a_taken_name_keeps_the_draft(
    draft: Draft, workspace: Workspace, operator: User
) -> None:
    services.create_model(workspace=workspace, name="churn MODEL", by=operator)
    with pytest.raises(Conflict, match="already"):
        services.publish_draft(draft=draft, by=operator)
    assert Draft.objects.filter(pk=draft.pk).exists()


def test_a_bad_sample_does_not_lose_the_model_file(
    workspace: Workspace, operator: User, files: dict[str, bytes]
) -> None:
    draft = services.stage_upload(
        workspace=workspace,
        artifact=Upload("m.skops", [files["model.skops"]]),
        sample=Upload("sample.csv", [b"a,b\n1,2,3\n1,2,3,4\n"]),
        by=operator,
    )
    assert "line 2" in draft.problems["sample"]
    services.replace_sample(draft=draft, sample=Upload("sample.csv", [SAMPLE]))
    draft.refresh_from_db()
    assert draft.problems == {}
    assert draft.sample is not None


def test_another_target_makes_the_features_anew_and_keeps_what_was_said(draft: Draft) -> None:
    draft.metadata["features"][0]["label"] = "Age in years"
    services.change_draft(draft=draft, target="city")
    names = {feature["name"]: feature for feature in draft.metadata["features"]}
    assert list(names) == ["age", "income", "outcome"]
    assert names["age"]["label"] == "Age in years"


def test_a_further_version_starts_from_the_last_one(
    version: ModelVersion, model: Model, operator: User, files: dict[str, bytes]
) -> None:
    draft = services.stage_upload(
        workspace=model.workspace,
        model=model,
        artifact=Upload("m.joblib", [files["model.joblib"]]),
        by=operator,
    )
    assert draft.metadata["features"] == version.metadata["features"]
    assert draft.model_card == version.model_card
    assert services.publish_draft(draft=draft, by=operator).number == 2


def test_metadata_is_checked_before_it_becomes_a_version(draft: Draft, operator: User) -> None:
    services.change_draft(draft=draft, metadata={"problemType": "guess"})
    with pytest.raises(Invalid, match="problemType"):
        services.publish_draft(draft=draft, by=operator)


def test_old_drafts_and_their_files_are_tidied_away(draft: Draft, version: ModelVersion) -> None:
    orphan = Artifact.objects.create(
        workspace=draft.workspace, sha256=storage.store([b"alone"]).sha256, size=5, filename="x"
    )
    assert services.tidy(now=timezone.now()) == 0
    services.tidy(now=timezone.now() + timedelta(days=8))
    assert not Draft.objects.exists()
    assert not storage.path_of(orphan.sha256).exists()
    assert storage.intact(version.artifact.sha256)
    assert storage.intact(version.reference.artifact.sha256)

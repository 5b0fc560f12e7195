"""The registry's pages: what they show, whom they admit, and that nothing typed is lost."""

from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from apps.accounts.models import User, Workspace
from apps.registry import services
from apps.registry.models import Draft, Model, ModelVersion
from apps.registry.services import Upload
from tests.registry.conftest import SAMPLE

HOME = "/w/retail-credit/models/"
VERSION = f"{HOME}credit-risk/1/"


@pytest.fixture
def client(operator: User, client_for: Any) -> Client:
    return client_for(operator)


@pytest.fixture
def draft(workspace: Workspace, operator: User, files: dict[str, bytes]) -> Draft:
    return services.stage_upload(
        workspace=workspace,
        artifact=Upload("churn.skops", [files["model.skops"]]),
        sample=Upload("sample.csv", [SAMPLE]),
        target="outcome",
        by=operator,
    )


def typed(draft: Draft, **given: str) -> dict[str, str]:
    """What the review form sends when nothing was changed but `given`."""
    values = {
        "name": draft.name,
        "target": draft.target,
        "problem_type": "classificationWithProbabilities",
        "classes": "Repaid = 0\nDefault = 1",
        "example_input": '{"instances": [{"age": 30, "income": 10, "city": "Ede"}]}',
        "feature-TOTAL_FORMS": "3",
        "feature-INITIAL_FORMS": "3",
        "feature-0-type": "integer",
        "feature-1-type": "number",
        "feature-1-nullable": "on",
        "feature-2-type": "category",
        "feature-2-categories": "Ede = City of Ede\nUrk",
        "model_card": "# Purpose",
    }
    return values | given


def test_an_empty_registry_says_what_to_do_next(client: Client, workspace: Workspace) -> None:
    page = client.get(HOME).content.decode()
    assert "No models yet" in page
    assert f"{HOME}new/" in page


def test_the_list_shows_and_searches(client: Client, version: ModelVersion) -> None:
    assert "Credit risk" in client.get(HOME).content.decode()
    assert "Credit risk" in client.get(HOME, {"q": "scikit-learn"}).content.decode()
    nothing = client.get(HOME, {"q": "xgboost"}).content.decode()
    assert "No model has" in nothing


def test_a_search_by_htmx_answers_with_the_rows_alone(
    client: Client, version: ModelVersion
) -> None:
    answer = client.get(HOME, {"q": "credit"}, headers={"HX-Request": "true"})
    assert b"<html" not in answer.content
    assert b"Credit risk" in answer.content
    assert "HX-Request" in answer["Vary"]


def test_the_list_takes_the_same_queries_however_long(
    client: Client,
    version: ModelVersion,
    workspace: Workspace,
    operator: User,
    django_assert_max_num_queries: Any,
) -> None:
    Model.objects.bulk_create(
        Model(workspace=workspace, name=f"m{n}", slug=f"m{n}", created_by=operator)
        for n in range(20)
    )
    with django_assert_max_num_queries(14):
        client.get(HOME)


def test_a_version_shows_its_features_cards_and_checksum(
    client: Client, version: ModelVersion
) -> None:
    page = client.get(VERSION).content.decode()
    for shown in ("age", "23 to 41", "Ede, Urk", version.artifact.sha256, "<h3>Purpose</h3>"):
        assert shown in page


def test_a_card_runs_no_script(client: Client, version: ModelVersion, operator: User) -> None:
    card = "<script>alert(1)</script> [x](javascript:alert(1)) ![i](http://elsewhere/i.png)"
    client.post(f"{VERSION}cards/", {"model_card": card, "data_card": ""})
    page = client.get(VERSION).content.decode()
    assert "<script>alert" not in page
    assert 'href="javascript' not in page
    assert "elsewhere" not in page


def test_a_card_is_previewed_while_it_is_written(client: Client, workspace: Workspace) -> None:
    answer = client.post(f"{HOME}card-preview/", {"data_card": "**bold**"})
    assert answer.content.decode().strip() == "<p><strong>bold</strong></p>"


def test_an_upload_leads_to_its_review(
    client: Client, workspace: Workspace, files: dict[str, bytes]
) -> None:
    sent = {
        "artifact": SimpleUploadedFile("churn.joblib", files["model.joblib"]),
        "sample": SimpleUploadedFile("sample.csv", SAMPLE),
        "metadata": SimpleUploadedFile("metadata.json", b"{not json"),
    }
    answer = client.post(f"{HOME}new/", sent, follow=True)
    page = answer.content.decode()
    assert "scikit-learn" in page
    assert "line 1, column 2" in page
    draft = Draft.objects.get()
    assert answer.redirect_chain == [(f"{HOME}drafts/{draft.id}/", 302)]


def test_a_file_that_is_no_model_is_refused_on_the_form(
    client: Client, workspace: Workspace
) -> None:
    answer = client.post(f"{HOME}new/", {"artifact": SimpleUploadedFile("a.txt", b"text")})
    assert answer.status_code == 400
    assert "no model that can be served" in answer.content.decode()


def test_a_review_ends_with_a_version(client: Client, draft: Draft) -> None:
    answer = client.post(
        f"{HOME}drafts/{draft.id}/",
        typed(draft, act="publish", **{"feature-0-label": "Age in years"}),
    )
    version = ModelVersion.objects.get()
    assert answer["Location"] == f"{HOME}churn/1/"
    features = {feature["name"]: feature for feature in version.metadata["features"]}
    assert features["age"]["label"] == "Age in years"
    assert features["age"]["observedMax"] == 41
    assert features["city"]["categories"] == ["Ede", "Urk"]
    assert features["city"]["categoryLabels"] == {"Ede": "City of Ede"}
    assert version.metadata["predictionClasses"] == {"Repaid": 0, "Default": 1}
    assert version.model_card == "# Purpose"


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ({"example_input": '{"instances": '}, "no JSON"),
        ({"example_input": '{"instances": [{"age": "old"}]}'}, "age must be a whole number"),
        ({"classes": "Repaid"}, "Line 1"),
        ({"name": "  "}, "required"),
        ({"feature-0-type": "colour"}, "not one of the available choices"),
    ],
)
def test_a_fault_in_the_review_loses_nothing(
    fault: dict[str, str], message: str, client: Client, draft: Draft
) -> None:
    data = typed(draft, act="publish", notes="Trained in May") | fault
    answer = client.post(f"{HOME}drafts/{draft.id}/", data)
    page = answer.content.decode()
    assert answer.status_code == 400
    assert message in page
    assert "Trained in May" in page
    assert not ModelVersion.objects.exists()


def test_the_metadata_can_be_edited_as_json(client: Client, draft: Draft) -> None:
    address = f"{HOME}drafts/{draft.id}/?as=json"
    assert "observedMin" in client.get(address).content.decode()
    data = {"name": "Churn", "act": "save", "target": "outcome", "metadata": '{"features": []}'}
    client.post(address, data)
    draft.refresh_from_db()
    assert draft.metadata == {"features": []}
    broken = client.post(address, data | {"metadata": "{oops"})
    assert "{oops" in broken.content.decode()


def test_a_new_sample_can_be_sent_for_a_draft(client: Client, draft: Draft) -> None:
    file = SimpleUploadedFile("other.csv", b"age,wage\n1,2\n3,4\n")
    client.post(f"{HOME}drafts/{draft.id}/sample/", {"sample": file})
    draft.refresh_from_db()
    assert draft.columns == ["age", "wage"]


def test_a_draft_is_its_owners_alone(client_for: Any, draft: Draft, owner: User) -> None:
    assert client_for(owner).get(f"{HOME}drafts/{draft.id}/").status_code == 404


def test_a_draft_can_be_discarded(client: Client, draft: Draft) -> None:
    assert client.get(f"{HOME}drafts/{draft.id}/discard/").status_code == 405
    client.post(f"{HOME}drafts/{draft.id}/discard/")
    assert not Draft.objects.exists()


def test_a_blocked_version_is_let_through_with_a_reason(
    client: Client, dangerous: ModelVersion
) -> None:
    page = client.get(VERSION).content.decode()
    assert "This file may not run" in page
    assert "posix.system" in page
    assert client.post(f"{VERSION}override/", {"reason": " "}).status_code == 400
    client.post(f"{VERSION}override/", {"reason": "Made by us"})
    assert "Made by us" in client.get(VERSION).content.decode()


def test_a_model_is_renamed_and_deleted_by_name(client: Client, version: ModelVersion) -> None:
    client.post(f"{HOME}credit-risk/edit/", {"name": "Loan risk", "description": "For loans"})
    assert "Loan risk" in client.get(f"{HOME}credit-risk/").content.decode()
    client.post(f"{HOME}credit-risk/delete/", {"confirm": "wrong"})
    assert Model.objects.exists()
    client.post(f"{HOME}credit-risk/delete/", {"confirm": "Loan risk"})
    assert not Model.objects.exists()


def test_a_version_is_downloaded_and_deleted(client: Client, version: ModelVersion) -> None:
    answer = client.get(f"{VERSION}artifact/")
    assert len(b"".join(answer.streaming_content)) == version.artifact.size
    client.post(f"{VERSION}delete/")
    assert not ModelVersion.objects.exists()


READS = ["", "credit-risk/", "credit-risk/1/"]
WRITES = ["new/", "credit-risk/edit/", "credit-risk/new/", "credit-risk/1/artifact/"]


@pytest.mark.parametrize("path", [*READS, *WRITES])
def test_strangers_get_404_and_the_anonymous_are_sent_to_sign_in(
    path: str, version: ModelVersion, outsider: User, client_for: Any
) -> None:
    assert client_for(outsider).get(HOME + path).status_code == 404
    assert "/account/login/" in Client().get(HOME + path)["Location"]


@pytest.mark.parametrize("path", WRITES)
def test_a_reviewer_may_look_and_not_add(
    path: str, version: ModelVersion, reviewer: User, client_for: Any
) -> None:
    assert client_for(reviewer).get(HOME + path).status_code == 403


@pytest.mark.parametrize("path", READS)
def test_an_auditor_sees_every_page_without_its_actions(
    path: str, version: ModelVersion, auditor: User, client_for: Any
) -> None:
    answer = client_for(auditor).get(HOME + path)
    assert answer.status_code == 200
    assert b"/new/" not in answer.content
    assert client_for(auditor).post(f"{VERSION}cards/", {}).status_code == 403

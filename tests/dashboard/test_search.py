"""Search finds by name, id and custom id, and only what a person may see."""

from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.test import Client

from apps.accounts.models import User, Workspace
from apps.deployments.models import Deployment
from apps.predictions.models import PredictionRecord, RequestRecord
from tests.monitoring.conftest import request_of

pytestmark = pytest.mark.django_db


def search(client: Client, text: object) -> str:
    answer = client.get("/search/", {"q": str(text)})
    assert answer.status_code == 200
    return answer.content.decode()


@pytest.fixture
def logged(deployment: Deployment, write: Callable[..., UUID], recent: datetime) -> None:
    write(*(request_of(deployment, recent, ["{}"], customId=f"case-{n}") for n in range(3)))


@pytest.mark.parametrize(
    ("text", "group", "found"),
    [
        ("consumer", "Deployments", "/w/retail-credit/deployments/consumer-credit/"),
        ("CREDIT risk", "Models", "/w/retail-credit/models/credit-risk/"),
        ("risk 1", "Model versions", "/w/retail-credit/models/credit-risk/1/"),
        ("model.skops", "Model versions", "/w/retail-credit/models/credit-risk/1/"),
    ],
)
def test_names_are_found_by_any_part(
    text: str, group: str, found: str, deployment: Deployment, reviewer: User, client_for: Any
) -> None:
    page = search(client_for(reviewer), text)
    assert f"<h2>{group}</h2>" in page
    assert f'href="{found}"' in page


def test_a_use_case_is_found(deployment: Deployment, reviewer: User, client_for: Any) -> None:
    page = search(client_for(reviewer), deployment.use_case.name)
    assert "<h2>Use cases</h2>" in page


def test_predictions_are_found_by_their_whole_custom_id(
    logged: None, reviewer: User, client_for: Any
) -> None:
    client = client_for(reviewer)
    wanted = PredictionRecord.objects.get(custom_id="case-1")
    page = search(client, "case-1")
    assert f"/w/retail-credit/predictions/{wanted.id}/" in page
    assert "Nothing has this name" in search(client, "case-")


def test_an_exact_id_leads_to_its_page(
    logged: None, deployment: Deployment, reviewer: User, client_for: Any
) -> None:
    version = deployment.revisions.all()[0].components.get().model_version
    assert version is not None
    request, prediction = RequestRecord.objects.all()[0], PredictionRecord.objects.all()[0]
    pages = {
        prediction.id: f"/w/retail-credit/predictions/{prediction.id}/",
        request.id: f"/w/retail-credit/requests/{request.id}/",
        deployment.id: "/w/retail-credit/deployments/consumer-credit/",
        version.id: "/w/retail-credit/models/credit-risk/1/",
        version.model_id: "/w/retail-credit/models/credit-risk/",
    }
    client = client_for(reviewer)
    for identifier, page in pages.items():
        answer = client.get("/search/", {"q": f" {identifier} "})
        assert answer["Location"] == page
        assert client.get(page).status_code == 200


def test_an_outsider_finds_nothing(
    logged: None, deployment: Deployment, outsider: User, client_for: Any
) -> None:
    client = client_for(outsider)
    wanted = [
        "consumer",
        "credit",
        "case-1",
        deployment.use_case.name,
        deployment.id,
        PredictionRecord.objects.all()[0].id,
        RequestRecord.objects.all()[0].id,
    ]
    for text in wanted:
        assert "Nothing has this name or id" in search(client, text)


def test_a_deleted_deployment_is_not_found_but_its_predictions_are(
    logged: None, deployment: Deployment, reviewer: User, client_for: Any
) -> None:
    Deployment.objects.filter(id=deployment.id).update(desired="deleted")
    client = client_for(reviewer)
    assert "<h2>Deployments</h2>" not in search(client, "consumer")
    assert "/w/retail-credit/predictions/" in search(client, "case-1")


@pytest.mark.parametrize("text", ["", " ", "x", "\x00", "%", "'; --", "é" * 500, uuid4()])
def test_odd_texts_find_nothing_and_break_nothing(
    text: object, deployment: Deployment, reviewer: User, client_for: Any
) -> None:
    assert "<h2>" in search(client_for(reviewer), text)


def test_what_was_sought_is_shown_as_text(
    workspace: Workspace, reviewer: User, client_for: Any
) -> None:
    page = search(client_for(reviewer), "<script>alert(1)</script>")
    assert "<script>alert(1)" not in page


def test_the_queries_do_not_grow_with_what_is_found(
    deployment: Deployment, reviewer: User, client_for: Any, django_assert_max_num_queries: Any
) -> None:
    for number in range(10):
        Deployment.objects.create(
            workspace=deployment.workspace,
            use_case=deployment.use_case,
            owner=reviewer,
            name=f"Consumer {number}",
            slug=f"consumer-{number}",
        )
    client = client_for(reviewer)
    with django_assert_max_num_queries(12):
        search(client, "consumer")


def test_the_anonymous_sign_in_and_nothing_is_posted(reviewer: User, client_for: Any) -> None:
    assert "/account/login/" in Client().get("/search/")["Location"]
    assert client_for(reviewer).post("/search/").status_code == 405

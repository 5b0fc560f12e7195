"""The registry over the API: shapes, rights, and errors with their places."""

import base64
import json
from io import BytesIO
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from apps.accounts import services as accounts
from apps.accounts.models import User, Workspace
from apps.audit.models import Event
from apps.registry.models import Model, ModelVersion
from tests.registry.conftest import SAMPLE

MODELS = "/workspaces/retail-credit/models"


@pytest.fixture
def client(operator: User, client_for: Any) -> Client:
    return client_for(operator)


def add(client: Client, address: str, content: bytes, **fields: Any) -> Any:
    file = SimpleUploadedFile("model.skops", content)
    return client.post(f"{address}/versions", {"artifact": file, **fields})


def test_a_model_is_made_listed_changed_and_deleted(client: Client, workspace: Workspace) -> None:
    made = client.post(MODELS, {"name": "Churn"}, content_type="application/json")
    assert made.status_code == 201
    address = f"{MODELS}/{made.json()['id']}"
    assert [model["name"] for model in client.get(MODELS).json()] == ["Churn"]
    changed = client.patch(address, {"description": "Who leaves"}, content_type="application/json")
    assert changed.json()["description"] == "Who leaves"
    assert client.delete(address).status_code == 204
    assert client.get(MODELS).json() == []


def test_a_version_is_added_with_metadata_sample_and_cards(
    client: Client, model: Model, files: dict[str, bytes]
) -> None:
    answer = add(
        client,
        f"{MODELS}/{model.slug}",
        files["model.skops"],
        sample=SimpleUploadedFile("sample.csv", SAMPLE),
        metadata=json.dumps({"problemType": "classificationWithProbabilities"}),
        target="outcome",
        modelCard="# Purpose",
    )
    assert answer.status_code == 201, answer.content
    body = answer.json()
    assert body["framework"] == "sklearn"
    assert body["metadata"]["problemType"] == "classificationWithProbabilities"
    assert [f["name"] for f in body["metadata"]["features"]] == ["age", "income", "city"]
    assert body["referenceData"]["rows"] == 3
    assert body["modelCard"] == "# Purpose"
    assert body["blocked"] is False


@pytest.mark.parametrize(
    ("fields", "field", "message"),
    [
        ({"metadata": "{"}, "metadata", "no JSON"),
        ({"metadata": '{"features": [{"name": "a", "type": "x"}]}'}, "features[0].type", "one of"),
        ({"metadata": '{"exampleInput": [NaN]}'}, "metadata", "NaN"),
        ({"metadata": '{"a": "\\u0000"}'}, "metadata", "NUL"),
        ({"metadata": "[" * 100_000}, "metadata", "deeply"),
        ({"target": "nothing", "sample": "csv"}, "target", "no column"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(
    fields: dict[str, Any],
    field: str,
    message: str,
    client: Client,
    model: Model,
    files: dict[str, bytes],
) -> None:
    if "sample" in fields:
        fields = fields | {"sample": SimpleUploadedFile("sample.csv", SAMPLE)}
    answer = add(client, f"{MODELS}/{model.slug}", files["model.skops"], **fields)
    body = answer.json()
    assert (answer.status_code, body["statusCode"]) == (400, 400)
    assert body["errors"][0]["field"] == field
    assert message in body["message"]
    assert not model.versions.exists()


def test_a_file_that_is_no_model_is_a_400(client: Client, model: Model) -> None:
    answer = add(client, f"{MODELS}/{model.slug}", b"just text")
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == "artifact"


def test_the_artifact_comes_back_byte_for_byte(
    client: Client, version: ModelVersion, files: dict[str, bytes]
) -> None:
    answer = client.get(f"{MODELS}/credit-risk/versions/1/artifact")
    assert BytesIO(b"".join(answer.streaming_content)).getvalue() == files["model.skops"]
    assert answer["X-Checksum-Sha256"] == version.artifact.sha256


def test_cards_change_and_nothing_else_does(client: Client, version: ModelVersion) -> None:
    answer = client.patch(
        f"{MODELS}/credit-risk/versions/{version.id}",
        {"dataCard": "Bank records", "framework": "xgboost"},
        content_type="application/json",
    )
    assert answer.json()["dataCard"] == "Bank records"
    assert answer.json()["framework"] == "sklearn"


def test_a_dangerous_file_is_blocked_until_somebody_answers_for_it(
    client: Client, dangerous: ModelVersion
) -> None:
    address = f"{MODELS}/credit-risk/versions/1"
    assert client.get(address).json()["blocked"] is True
    answer = client.post(
        f"{address}/overrideScan", {"reason": "Ours"}, content_type="application/json"
    )
    assert answer.json()["blocked"] is False
    assert answer.json()["scanOverride"]["reason"] == "Ours"


def test_a_key_pair_acts_and_the_event_names_it(
    operator: User, model: Model, version: ModelVersion
) -> None:
    pair, secret = accounts.create_key_pair(user=operator, name="ci")
    basic = base64.b64encode(f"{pair.access_key}:{secret}".encode()).decode()
    answer = Client().patch(
        f"{MODELS}/credit-risk",
        {"description": "By a program"},
        content_type="application/json",
        headers={"Authorization": f"Basic {basic}"},
    )
    assert answer.status_code == 200, answer.content
    assert Event.objects.get(name="model.changed").actor_kind == "key_pair"


READS = ["", "/credit-risk", "/credit-risk/versions", "/credit-risk/versions/1"]


@pytest.mark.parametrize("path", [*READS, "/credit-risk/versions/1/artifact"])
def test_strangers_find_nothing(
    path: str, version: ModelVersion, outsider: User, client_for: Any
) -> None:
    assert client_for(outsider).get(MODELS + path).status_code == 404
    assert Client().get(MODELS + path).status_code == 401


@pytest.mark.parametrize("path", READS)
def test_an_auditor_reads_and_writes_nothing(
    path: str, version: ModelVersion, auditor: User, client_for: Any
) -> None:
    client = client_for(auditor)
    assert client.get(MODELS + path).status_code == 200
    assert client.post(MODELS, {"name": "x"}).status_code == 403
    assert client.delete(f"{MODELS}/credit-risk").status_code == 403
    assert client.get(f"{MODELS}/credit-risk/versions/1/artifact").status_code == 403


def test_a_reviewer_documents_but_adds_nothing(
    version: ModelVersion, reviewer: User, client_for: Any, files: dict[str, bytes]
) -> None:
    client = client_for(reviewer)
    address = f"{MODELS}/credit-risk/versions/1"
    cards = {"modelCard": "Reviewed"}
    assert client.patch(address, cards, content_type="application/json").status_code == 200
    assert add(client, f"{MODELS}/credit-risk", files["model.skops"]).status_code == 403
    body = {"reason": "x"}
    refused = client.post(f"{address}/overrideScan", body, content_type="application/json")
    assert refused.status_code == 403


def test_a_list_of_models_takes_the_same_queries_however_long(
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
    with django_assert_max_num_queries(10):
        assert len(client.get(MODELS).json()) == 21

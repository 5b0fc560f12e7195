"""Versions that are container images: what can be said of them, and what is refused."""

from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from apps.accounts.models import User, Workspace
from apps.core.errors import Invalid
from apps.registry import services
from apps.registry.models import Credential, Model, ModelVersion
from apps.registry.services.images import checked_reference
from tests.registry.conftest import SAMPLE

PAGE = "/w/retail-credit/models/new/image/"
SENT = {"name": "Bureau", "image": "registry.example.com:5000/team/bureau:1.4", "port": "9000"}


@pytest.mark.parametrize(
    "image",
    ["model", "team/model", "localhost:5000/m:v1", "a.b.c/d/e-f__g:1", "m@sha256:" + "a" * 64],
)
def test_names_that_an_engine_takes(image: str) -> None:
    assert checked_reference(f" {image} ") == image


@pytest.mark.parametrize(
    "image",
    ["", "Model", "m:", "m:a b", "https://x/m", "m@sha256:12", "-m", "m --privileged", "m" * 256],
)
def test_names_that_no_engine_takes(image: str) -> None:
    with pytest.raises(Invalid, match="no name of an image"):
        checked_reference(image)


def test_an_image_becomes_a_version(client_for: Any, operator: User, workspace: Workspace) -> None:
    sample = SimpleUploadedFile("sample.csv", SAMPLE)
    sent = SENT | {"served_name": "bureau", "sample": sample, "target": "outcome"}
    answer = client_for(operator).post(PAGE, sent)
    version = ModelVersion.objects.get()
    assert answer.status_code == 302
    assert version.framework == "custom"
    assert version.source == {
        "kind": "image", "image": SENT["image"], "port": 9000, "readinessPath": "",
    }  # fmt: skip
    assert version.metadata["servedModelName"] == "bureau"
    assert [each["name"] for each in version.metadata["features"]] == ["age", "income", "city"]
    assert version.reference.rows == 3
    page = client_for(operator).get(answer["Location"]).content.decode()
    assert SENT["image"] in page
    assert "9000" in page


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"image": "Not An Image"}, "no name of an image"),
        ({"port": "70000"}, "from 1 to 65535"),
        ({"readinessPath": "health"}, "begins with /"),
        ({"metadata": "{"}, "no JSON"),
        ({"metadata": '{"problemType": "magic"}'}, "must be one of"),
    ],
)
def test_what_is_wrong_is_said_and_makes_nothing(
    client_for: Any, operator: User, workspace: Workspace, change: dict[str, str], said: str
) -> None:
    answer = client_for(operator).post(PAGE, SENT | change)
    page = answer.content.decode()
    assert answer.status_code == 400
    assert said in page
    assert 'value="Bureau"' in page
    assert not Model.objects.exists()


def test_the_next_version_starts_from_the_last_image(
    client_for: Any, operator: User, model: Model
) -> None:
    services.add_image_version(
        model=model, image="team/bureau:1", port=9000, by=operator,
        metadata={"servedModelName": "b", "problemType": "regression"},
    )  # fmt: skip
    page = client_for(operator).get("/w/retail-credit/models/credit-risk/new/image/")
    text = page.content.decode()
    assert 'value="team/bureau:1"' in text
    assert 'value="9000"' in text
    assert "regression" in text
    assert "Name of the model" not in text


def test_only_credentials_of_registries_are_offered(
    client_for: Any, operator: User, workspace: Workspace, model: Model
) -> None:
    made = [
        Credential.objects.create(
            workspace=workspace, name=kind, kind=kind, secret=b"x", created_by=operator
        )
        for kind in ("password", "ssh")
    ]
    form = client_for(operator).get(PAGE).context["form"]
    assert list(form.fields["credential"].queryset) == made[:1]
    with pytest.raises(Invalid, match="user name and password"):
        services.add_image_version(model=model, image="m", credential=made[1], by=operator)


def test_strangers_and_reviewers_add_no_image(
    client_for: Any, client: Client, outsider: User, reviewer: User, workspace: Workspace
) -> None:
    assert client_for(outsider).post(PAGE, SENT).status_code == 404
    assert client_for(reviewer).post(PAGE, SENT).status_code == 403
    assert client.post(PAGE, SENT).status_code == 302
    assert not ModelVersion.objects.exists()

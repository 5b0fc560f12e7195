"""Pages and API of credentials, repositories and imports."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from apps.accounts.models import User, Workspace
from apps.registry.credentials.services import create_credential
from apps.registry.imports.services import create_repository, start_import
from apps.registry.models import Credential, Import, Model, Repository
from apps.registry.tasks import perform_import
from tests.registry.sources.servers import http, send

pytestmark = pytest.mark.django_db
W = "/w/retail-credit"
API = "/workspaces/retail-credit"


@pytest.fixture
def client(operator: User, client_for: Any) -> Client:
    return client_for(operator)


@pytest.fixture
def credential(workspace: Workspace, operator: User) -> Credential:
    return create_credential(
        workspace=workspace,
        name="Bot",
        kind="token",
        secret={"token": "hidden-value"},
        by=operator,
    )


@pytest.fixture
def repository(workspace: Workspace, operator: User, credential: Credential) -> Repository:
    return create_repository(
        workspace=workspace,
        name="Models",
        url="https://git.example/models.git",
        credential=credential,
        by=operator,
    )


@pytest.fixture
def job(workspace: Workspace, operator: User) -> Import:
    source = {"kind": "files", "uri": "https://files.example/risk.skops"}
    return start_import(workspace=workspace, source=source, by=operator)


@pytest.fixture
def pages(credential: Credential, repository: Repository, job: Import) -> dict[str, list[str]]:
    one = f"{W}/credentials/{credential.id}/"
    imported = f"{W}/models/imports/{job.id}/"
    return {
        "read": [f"{W}/credentials/", one, f"{W}/repositories/", f"{W}/models/imports/", imported],
        "form": [
            *(f"{W}/credentials/new/?kind={kind}" for kind in Credential.Kind.values),
            *(f"{W}/models/new/{kind}/" for kind in ("git", "files", "mlflow")),
        ],
        "post": [
            f"{one}test/",
            f"{one}rename/",
            f"{one}delete/",
            f"{W}/repositories/{repository.id}/delete/",
            f"{imported}cancel/",
            f"{imported}retry/",
        ],
    }


def test_members_read_and_operators_write(
    pages: dict[str, list[str]], client: Client, reviewer: User, client_for: Any
) -> None:
    looking = client_for(reviewer)
    for where in pages["read"]:
        assert looking.get(where).status_code == 200, where
    for where in pages["form"]:
        assert client.get(where).status_code == 200, where
        assert looking.get(where).status_code == 403, where
    for where in pages["post"]:
        assert looking.post(where).status_code == 403, where
        assert client.get(where).status_code == 405, where


def test_outsiders_find_nothing_and_strangers_sign_in(
    pages: dict[str, list[str]], outsider: User, client_for: Any
) -> None:
    outside = client_for(outsider)
    for where in [*pages["read"], *pages["form"]]:
        assert outside.get(where).status_code == 404, where
        assert Client().get(where).status_code == 302, where
    for where in pages["post"]:
        assert outside.post(where).status_code == 404, where


def test_a_secret_is_on_no_page(
    pages: dict[str, list[str]], client: Client, credential: Credential
) -> None:
    for where in [*pages["read"], f"{API}/credentials", f"{API}/credentials/{credential.id}"]:
        assert b"hidden-value" not in client.get(where).content, where
    wrong = {"name": "", "token": "typed-and-wrong"}
    answer = client.post(f"{W}/credentials/new/?kind=token", wrong)
    assert answer.status_code == 400
    assert b"typed-and-wrong" not in answer.content


def test_a_credential_is_made_tested_renamed_and_deleted_by_hand(client: Client) -> None:
    with http(lambda handler: send(handler, b"")) as url:
        typed = {"name": "Portal", "token": "t", "url": url}
        answer = client.post(f"{W}/credentials/new/?kind=token", typed)
        one = answer["Location"]
        page = client.post(f"{one}test/", follow=True).content.decode()
    assert "Portal is accepted." in page
    assert "Accepted" in page
    client.post(f"{one}rename/", {"name": "Gate"})
    assert "Gate" in client.get(one).content.decode()
    client.post(f"{one}delete/")
    assert not Credential.objects.exists()


def test_lists_ask_a_constant_number_of_queries(
    client: Client,
    workspace: Workspace,
    operator: User,
    repository: Repository,
    job: Import,
    django_assert_num_queries: Any,
) -> None:
    for number in range(5):
        made = create_credential(
            workspace=workspace, name=f"C{number}", kind="token", secret={"token": "t"}, by=operator
        )
        create_repository(
            workspace=workspace,
            name=f"R{number}",
            url="https://git.example/r.git",
            credential=made,
            by=operator,
        )
        start_import(workspace=workspace, source=job.source, by=operator, credential=made)
    for where, most in (("credentials", 8), ("repositories", 9), ("models/imports", 8)):
        with django_assert_num_queries(most, exact=False):
            client.get(f"{W}/{where}/")


def test_an_import_is_begun_from_a_page_and_followed(
    client: Client, workspace: Workspace, repository: Repository, model: Model
) -> None:
    answer = client.post(f"{W}/models/new/git/", {"repository": str(repository.id), "ref": "main"})
    job = Import.objects.get()
    assert answer["Location"] == f"{W}/models/imports/{job.id}/"
    assert job.source["url"] == repository.url
    assert job.credential == repository.credential
    page = client.get(answer["Location"]).content.decode()
    assert "It waits for the worker" in page
    fragment = client.get(answer["Location"], headers={"HX-Request": "true"})
    assert b"<html" not in fragment.content
    assert "HX-Request" in fragment["Vary"]
    client.post(f"{answer['Location']}cancel/")
    job.refresh_from_db()
    assert job.state == "cancelled"


def test_what_is_wrong_with_a_source_stands_at_its_field(client: Client) -> None:
    answer = client.post(f"{W}/models/new/git/", {"ref": "main"})
    assert (answer.status_code, Import.objects.count()) == (400, 0)
    assert "Choose a repository, or give its address." in answer.content.decode()
    typed = {"uri": "runs:/a/b", "tracking": "https://mlflow.example"}
    answer = client.post(f"{W}/models/new/mlflow/", typed)
    assert answer.status_code == 400
    assert "models:/name/3" in answer.content.decode()
    assert "runs:/a/b" in answer.content.decode()


def test_a_finished_draft_is_led_to(
    client: Client, workspace: Workspace, imported: Callable[..., Import], files: dict[str, bytes]
) -> None:
    with http(lambda handler: send(handler, files["model.skops"])) as url:
        job = imported({"kind": "files", "uri": f"{url}/risk.skops"})
    where = f"{W}/models/imports/{job.id}/"
    assert "See what was found" in client.get(where).content.decode()
    led = client.get(where, headers={"HX-Request": "true"})["HX-Redirect"]
    assert client.get(led).status_code == 200


def test_programs_add_and_list_repositories_as_the_client_expects(
    client: Client, credential: Credential
) -> None:
    body = {
        "name": "Models",
        "remotePath": "git@git.example:m.git",
        "credentialId": str(credential.id),
    }
    made = client.post(f"{API}/repositories", body, content_type="application/json")
    assert made.status_code == 201
    listed = client.get(f"{API}/repositories").json()
    assert listed == [made.json()]
    needed = {"id", "name", "status", "workspaceId", "isPublic", "remotePath", "createdAt"}
    assert needed <= set(listed[0])
    assert client.delete(f"{API}/repositories/{listed[0]['id']}").status_code == 204


def test_programs_make_a_version_from_a_source(
    client: Client, model: Model, files: dict[str, bytes], reviewer: User, client_for: Any
) -> None:
    where = f"{API}/models/{model.slug}/versions"
    with http(lambda handler: send(handler, files["model.skops"])) as url:
        body = {"source": {"kind": "files", "uri": f"{url}/risk.skops"}, "notes": "Nightly"}
        asked = client.post(where, body, content_type="application/json")
        refused = client_for(reviewer).post(where, body, content_type="application/json")
        assert (asked.status_code, refused.status_code) == (202, 403)
        perform_import(asked.json()["id"])
    job = client.get(f"{API}/imports/{asked.json()['id']}").json()
    assert (job["state"], job["version"]) == ("done", 1)
    version = client.get(f"{where}/1").json()
    assert version["notes"] == "Nightly"
    assert version["source"]["uri"] == f"{url}/risk.skops"


def test_a_source_that_says_too_little_is_refused_by_field(client: Client, model: Model) -> None:
    answer = client.post(
        f"{API}/imports", {"source": {"kind": "git"}}, content_type="application/json"
    )
    assert answer.status_code == 400
    assert answer.json()["errors"] == [{"field": "url", "message": "Say where the model lies."}]

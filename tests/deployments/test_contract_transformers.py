"""Transformers that lie in the contract folder of a repository."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import skops.io
from django.test import Client
from sklearn.linear_model import LogisticRegression

from apps.accounts.models import User, Workspace
from apps.deployments.models import Component, Deployment
from apps.deployments.transformers import transformer_of
from apps.registry.imports.services import create_repository, start_import
from apps.registry.models import Import, Repository
from apps.registry.tasks import perform_import
from tests.registry.sources.servers import GitTree, git_backend, http

pytestmark = pytest.mark.django_db
API = "/workspaces/retail-credit/deployments"
PAGE = "/w/retail-credit/deployments/risk/"
MODULE = b"def preprocess(instances):\n    return [[row[0] * 2] for row in instances]\n"


@pytest.fixture
def tree(tmp_path: Path) -> GitTree:
    skops.io.dump(LogisticRegression().fit([[0.0], [1.0]], [0, 1]), tmp_path / "m.skops")
    made = GitTree(tmp_path / "git")
    made.write("model/model.skops", (tmp_path / "m.skops").read_bytes())
    return made


@pytest.fixture
def repository(
    tree: GitTree, workspace: Workspace, operator: User, settings: Any
) -> Iterator[Repository]:
    settings.OUTBOUND_ALLOW = ["127.0.0.0/8"]
    with http(git_backend(tree.bare.parent)) as url:
        yield create_repository(
            workspace=workspace, name="Models", url=f"{url}/models.git", by=operator
        )


@pytest.fixture
def client(operator: User, client_for: Any) -> Client:
    made: Client = client_for(operator)
    return made


def deploy(client: Client, tree: GitTree, repository: Repository, **body: Any) -> Import:
    """The import after the worker had it."""
    tree.commit()
    given = {"name": "Risk", "modelType": 2, "repositoryId": str(repository.id)} | body
    answer = client.post(API, given, content_type="application/json")
    assert answer.status_code == 201, answer.json()
    job = Import.objects.get()
    perform_import(str(job.id))
    job.refresh_from_db()
    return job


def test_a_module_that_is_answered_for_becomes_the_transformer(
    tree: GitTree, repository: Repository, client: Client
) -> None:
    tree.write("transformer/transformer.py", MODULE)
    tree.write("transformer/requirements.txt", b"")

    job = deploy(
        client, tree, repository, transformerReason="We wrote it.", transformerMemLimit=300
    )

    assert job.state == "done", job.error
    given = transformer_of(Deployment.objects.get().revisions.get())
    assert given is not None
    assert given.artifact is not None
    assert given.artifact.scan["steps"] == ["preprocess"]
    assert (given.reason, given.answered_by) == ("We wrote it.", "Operator")
    assert given.run.memory_mb == 300


def test_a_module_without_an_answer_waits_for_one_and_the_version_is_not_made_twice(
    tree: GitTree, repository: Repository, client: Client
) -> None:
    tree.write("transformer/transformer.py", MODULE)

    job = deploy(client, tree, repository)

    assert job.state == "failed"
    assert "say why it may run here" in job.error
    assert not Deployment.objects.get().revisions.exists()
    page = client.get(f"{PAGE}progress/").content.decode()
    assert 'name="reason"' in page
    assert client.post(f"{PAGE}import/retry/", {"reason": "Read it."}).status_code == 302
    revision = Deployment.objects.get().revisions.get()
    given = transformer_of(revision)
    assert given is not None
    assert given.reason == "Read it."
    model = revision.components.get(kind=Component.Kind.MODEL).model_version
    assert model is not None
    assert model.model.versions.count() == 1


def test_a_reviewer_answers_for_no_code(
    tree: GitTree, repository: Repository, client: Client, reviewer: User, client_for: Any
) -> None:
    tree.write("transformer/transformer.py", MODULE)
    deploy(client, tree, repository)
    member = client_for(reviewer)

    assert 'name="reason"' not in member.get(f"{PAGE}progress/").content.decode()
    assert member.post(f"{PAGE}import/retry/", {"reason": "x"}).status_code == 403


def test_a_client_that_asks_for_none_gets_none(
    tree: GitTree, repository: Repository, client: Client
) -> None:
    tree.write("transformer/transformer.py", MODULE)

    job = deploy(client, tree, repository, transformerType=0)

    assert job.state == "done", job.error
    assert transformer_of(Deployment.objects.get().revisions.get()) is None


def test_a_client_that_asks_for_one_that_is_not_there_hears_it(
    tree: GitTree, repository: Repository, client: Client
) -> None:
    job = deploy(client, tree, repository, transformerType=1)

    assert job.state == "failed"
    assert "no transformer/ with transformer.py" in job.error


def test_a_reference_to_an_image_becomes_the_transformer(
    tree: GitTree, repository: Repository, client: Client
) -> None:
    reference = b'{"reference": {"docker": {"image": "registry.example/units:1", "port": 9001}}}'
    tree.write("transformer/reference.json", reference)

    job = deploy(client, tree, repository)

    assert job.state == "done", job.error
    revision = Deployment.objects.get().revisions.get()
    given = transformer_of(revision)
    assert given is not None
    assert (given.image, given.port, revision.backend) == (
        "registry.example/units:1", 9001, "docker",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("transformer.py", b"x = 1", "neither preprocess"),
        ("transformer.py", b"def (", "is not Python"),
        ("other.py", MODULE, "neither transformer.py nor a reference.json"),
        ("reference.json", b"{", "transformer/reference.json is no JSON"),
        (
            "reference.json",
            b'{"reference": {"blob": {"url": "https://a/b"}}}',
            "a transformer is an image",
        ),
    ],
)
def test_what_is_no_transformer_fails_in_words(
    tree: GitTree,
    repository: Repository,
    client: Client,
    name: str,
    content: bytes,
    message: str,
) -> None:
    tree.write(f"transformer/{name}", content)

    job = deploy(client, tree, repository, transformerReason="We wrote it.")

    assert job.state == "failed"
    assert message in job.error
    assert message in client.get(f"{PAGE}progress/").content.decode()


def test_a_version_alone_takes_no_transformer(
    tree: GitTree, repository: Repository, workspace: Workspace, operator: User
) -> None:
    tree.write("transformer/transformer.py", MODULE)
    tree.commit()
    source = {"kind": "git", "url": repository.url, "ref": "main"}
    job = start_import(workspace=workspace, source=source, name="Risk", auto=True, by=operator)
    perform_import(str(job.id))
    job.refresh_from_db()

    assert job.state == "done"
    assert "belongs to a deployment" in job.log

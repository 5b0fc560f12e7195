"""Explainers that lie in the contract folder of a repository."""

from typing import Any

import pytest
from django.test import Client

from apps.deployments.explainers import explainer_of
from apps.deployments.models import Deployment
from apps.deployments.transformers import transformer_of
from apps.registry.models import Import, Repository
from tests.deployments.test_contract_transformers import MODULE as TRANSFORMER
from tests.deployments.test_contract_transformers import PAGE, deploy
from tests.deployments.test_contract_transformers import client as client
from tests.deployments.test_contract_transformers import repository as repository
from tests.deployments.test_contract_transformers import tree as tree
from tests.registry.sources.servers import GitTree

pytestmark = pytest.mark.django_db
MODULE = b"from beside import explain\n"
BESIDE = b"def explain(instances, predict):\n    return []\n"


def explainer() -> Any:
    return explainer_of(Deployment.objects.get().revisions.get())


@pytest.fixture
def module(tree: GitTree) -> GitTree:
    tree.write("explainer/explainer.py", MODULE)
    tree.write("explainer/beside.py", BESIDE)
    return tree


def test_a_module_that_is_answered_for_becomes_the_explainer(
    module: GitTree, repository: Repository, client: Client
) -> None:
    job = deploy(client, module, repository, explainerReason="We wrote it.")
    assert job.state == "done", job.error
    assert "explainer/ was found with beside.py, explainer.py." in job.log
    given = explainer()
    assert given.module.scan["format"] == "zip"
    assert (given.reason, given.answered_by) == ("We wrote it.", "Operator")
    assert [method.name for method in given.every_method] == ["custom"]


def test_one_answer_serves_both_modules_that_wait_for_it(
    module: GitTree, repository: Repository, client: Client
) -> None:
    module.write("transformer/transformer.py", TRANSFORMER)
    job = deploy(client, module, repository)
    assert job.state == "failed"
    page = client.get(f"{PAGE}progress/").content.decode()
    assert "code of the transformer and explainer run here" in page
    assert client.post(f"{PAGE}import/retry/", {"reason": "Read it."}).status_code == 302
    assert explainer().reason == "Read it."
    given = transformer_of(Deployment.objects.get().revisions.get())
    assert given is not None
    assert given.reason == "Read it."


def test_a_reference_to_an_image_becomes_the_explainer(
    tree: GitTree, repository: Repository, client: Client
) -> None:
    reference = (
        b'{"schemaVersion": "2.0.0", "reference": {"docker": '
        b'{"image": "registry.example/why:1", "port": 9001, "uri": "/ready"}}}'
    )
    tree.write("explainer/reference.json", reference)
    job = deploy(client, tree, repository)
    assert job.state == "done", job.error
    given = explainer()
    assert (given.image, given.port, given.readiness_path) == (
        "registry.example/why:1", 9001, "/ready",
    )  # fmt: skip
    assert Deployment.objects.get().revisions.get().backend == "docker"


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("explainer.dill", b"bytes", "explainer.dill is not imported"),
        ("notes.txt", b"x", "it takes explainer.py or a reference.json of an image"),
        (
            "reference.json",
            b'{"reference": {"blob": {"url": "https://a/b"}}}',
            "refers to blob, which is not imported",
        ),
    ],
)
def test_what_cannot_be_taken_is_named_and_the_model_is_deployed_without(
    tree: GitTree, repository: Repository, client: Client, name: str, content: bytes, words: str
) -> None:
    tree.write(f"explainer/{name}", content)
    job = deploy(client, tree, repository)
    assert job.state == "done", job.error
    assert words in job.log
    assert explainer() is None
    assert job.version is not None
    assert job.version.source["explainer"] == [name]


def test_a_client_that_asks_for_none_gets_none(
    module: GitTree, repository: Repository, client: Client
) -> None:
    job = deploy(client, module, repository, explainerType=0)
    assert job.state == "done", job.error
    assert explainer() is None


def test_a_client_that_asks_for_one_that_is_not_there_hears_it(
    tree: GitTree, repository: Repository, client: Client
) -> None:
    job = deploy(client, tree, repository, explainerType=7)
    assert job.state == "failed"
    assert "no explainer/ with explainer.py" in job.error


def test_both_files_at_once_are_refused(
    module: GitTree, repository: Repository, client: Client
) -> None:
    module.write("explainer/reference.json", b"{}")
    job: Import = deploy(client, module, repository)
    assert job.state == "failed"
    assert "keep one" in job.error

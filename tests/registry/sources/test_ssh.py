"""Repositories over SSH, from a real server."""

import io
from collections.abc import Callable, Iterator
from typing import Any

import paramiko
import pytest

from apps.accounts.models import User, Workspace
from apps.registry.credentials.services import create_credential
from apps.registry.models import Credential, Draft, Import
from tests.registry.sources.servers import GitTree
from tests.registry.sources.ssh_server import Door, git_over_ssh

Imported = Callable[..., Import]
pytestmark = pytest.mark.django_db


@pytest.fixture
def door(tree: GitTree, files: dict[str, bytes]) -> Iterator[Door]:
    tree.write("risk/model/model.skops", files["model.skops"])
    with git_over_ssh(tree.bare.parent) as made:
        yield made


@pytest.fixture
def key(workspace: Workspace, operator: User) -> Callable[..., Credential]:
    def made(door: Door, **secret: str) -> Credential:
        given = {
            "privateKey": door.private_key,
            "host": f"git@127.0.0.1:{door.port}",
            "knownHosts": door.known_host,
        } | secret
        return create_credential(
            workspace=workspace, name="Git", kind="ssh", secret=given, by=operator
        )

    return made


def source(door: Door, **given: str) -> dict[str, Any]:
    return {"kind": "git", "url": door.url, "ref": "main", "path": "risk"} | given


def failed(job: Import) -> str:
    assert job.state == "failed", job.log
    assert not Draft.objects.exists()
    return job.error


@pytest.mark.parametrize("what", ["branch", "commit"])
def test_a_contract_folder_comes_over_ssh_pinned_to_its_commit(
    door: Door, key: Callable[..., Credential], tree: GitTree, imported: Imported, what: str
) -> None:
    first = tree.commit()
    tree.write("risk/README.md", b"later")
    last = tree.commit()

    job = imported(source(door, ref="main" if what == "branch" else first), key(door))

    assert job.error == ""
    assert job.draft.detected["format"] == "skops"
    assert job.draft.source["commit"] == (last if what == "branch" else first)


def test_a_key_that_the_server_does_not_know_is_refused(
    door: Door, key: Callable[..., Credential], tree: GitTree, imported: Imported
) -> None:
    tree.commit()
    text = io.StringIO()
    paramiko.ECDSAKey.generate().write_private_key(text)

    error = failed(imported(source(door), key(door, privateKey=text.getvalue())))

    assert "refuses the SSH key for git" in error


def test_a_server_that_shows_another_key_than_the_known_one_is_not_trusted(
    door: Door, key: Callable[..., Credential], tree: GitTree, imported: Imported
) -> None:
    tree.commit()
    other = paramiko.ECDSAKey.generate()
    line = f"[127.0.0.1]:{door.port} {other.get_name()} {other.get_base64()}"

    assert "shows another key" in failed(imported(source(door), key(door, knownHosts=line)))


def test_an_address_over_ssh_needs_a_key(door: Door, tree: GitTree, imported: Imported) -> None:
    tree.commit()

    assert "SSH" in failed(imported(source(door)))


def test_a_repository_and_a_branch_that_are_not_there_are_named(
    door: Door, key: Callable[..., Credential], tree: GitTree, imported: Imported
) -> None:
    tree.commit()
    credential = key(door)
    gone = failed(imported(source(door, url=door.url.replace("models", "other")), credential))

    assert "other.git" in gone
    assert "no branch or tag gone" in failed(imported(source(door, ref="gone"), credential))

"""Contract folders from a real Git server, and everything that can be wrong with one."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from apps.accounts.models import User, Workspace
from apps.audit.models import Event
from apps.registry.credentials.services import create_credential
from apps.registry.imports import performing, services
from apps.registry.models import Artifact, Draft, Import, Model
from tests.registry.sources.servers import GitTree, git_backend, http

Imported = Callable[..., Import]
pytestmark = pytest.mark.django_db(transaction=False)


def git(url: str, **given: str) -> dict[str, str]:
    return {"kind": "git", "url": url, **given}


def failed(job: Import) -> str:
    """The reason; nothing half-made may be left."""
    assert job.state == "failed", job.log
    assert not Draft.objects.exists()
    assert not Model.objects.exists()
    assert not Artifact.objects.exists()
    return job.error


def test_a_contract_folder_becomes_a_draft_pinned_to_its_commit(
    tree: GitTree, git_url: str, imported: Imported, files: dict[str, bytes]
) -> None:
    tree.write("model/model.skops", files["model.skops"])
    tree.write("metadata.json", json.dumps({"problemType": "classification"}).encode())
    tree.write("requirements.txt", b"scikit-learn==1.9.0\n")
    commit = tree.commit()

    job = imported(git(git_url))

    assert (job.state, job.error) == ("done", "")
    draft = job.draft
    assert draft.source == {
        "kind": "git", "url": git_url, "path": "", "commit": commit, "ref": "main",
    }  # fmt: skip
    assert draft.metadata["problemType"] == "classification"
    assert draft.requirements == "scikit-learn==1.9.0\n"
    assert draft.detected["framework"] == "sklearn"
    assert "Fetching main" in job.log


def test_an_import_for_programs_makes_a_version_at_once(
    tree: GitTree, git_url: str, imported: Imported, files: dict[str, bytes]
) -> None:
    tree.write("model/model.skops", files["model.skops"])
    commit = tree.commit()

    job = imported(git(git_url), name="Churn", auto=True)

    assert (job.version.model.name, job.version.number) == ("Churn", 1)
    assert job.version.source["commit"] == commit
    names = set(Event.objects.values_list("name", flat=True))
    assert {"import.started", "model.version_added", "import.finished"} <= names


@pytest.mark.parametrize("what", ["branch", "tag", "commit", "old commit"])
def test_a_branch_a_tag_and_a_commit_are_found(
    what: str, tree: GitTree, git_url: str, imported: Imported, files: dict[str, bytes]
) -> None:
    tree.write("risk/model/model.skops", files["model.skops"])
    first = tree.commit()
    tree.git("tag", "-a", "v1", "-m", "one")
    tree.write("other", b"x")
    second = tree.commit("feature")
    ref = {"branch": "feature", "tag": "v1", "commit": second, "old commit": first}[what]

    job = imported(git(git_url, ref=ref, path="risk"))

    assert job.error == ""
    expected = second if what in {"branch", "commit"} else first
    assert job.draft.source["commit"] == expected


def test_a_repository_behind_a_password_opens_with_its_credential(
    tree: GitTree, imported: Imported, files: dict[str, bytes], workspace: Workspace, operator: User
) -> None:
    tree.write("model/model.skops", files["model.skops"])
    tree.commit()
    with http(git_backend(tree.bare.parent, login="ada:lovelace")) as url:

        def with_password(word: str) -> Import:
            credential = create_credential(
                workspace=workspace,
                name=word,
                kind="password",
                secret={"username": "ada", "password": word},
                by=operator,
            )
            return imported(git(f"{url}/models.git"), credential)

        assert "refuses the credential" in failed(with_password("wrong"))
        assert with_password("lovelace").state == "done"


def test_a_branch_that_is_gone_is_named_with_those_there_are(
    tree: GitTree, git_url: str, imported: Imported
) -> None:
    tree.write("a", b"b")
    tree.commit()

    error = failed(imported(git(git_url, ref="gone")))

    assert "no branch or tag gone" in error
    assert "main" in error


def test_a_commit_that_is_gone_is_named(
    tree: GitTree, git_url: str, imported: Imported, files: dict[str, bytes]
) -> None:
    tree.write("model/model.skops", files["model.skops"])
    tree.commit()

    error = failed(imported(git(git_url, ref="0123456789" * 4)))

    assert "012345678901 is not in the repository any more" in error


def test_an_unknown_repository_and_a_silent_host_are_named(
    git_url: str, imported: Imported
) -> None:
    assert "has no repository" in failed(imported(git(git_url.replace("models", "other"))))
    assert "cannot be reached" in failed(imported(git("http://127.0.0.1:9/models.git")))


def test_an_address_within_is_refused(imported: Imported, git_url: str, settings: Any) -> None:
    settings.OUTBOUND_ALLOW = []

    assert "within this network" in failed(imported(git(git_url)))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"README.md": b""}, "no folder model/"),
        ({"model/notes.txt": b"x"}, "holds notes.txt, but no model"),
        ({"model/model.skops": b"x", "model/model.pkl": b"y"}, "exactly one model"),
        ({"model/model.skops": b"not a model"}, "no model that can be served"),
        ({"model/model.skops": b"version https://git-lfs.github.com/spec/v1\n"}, "Git LFS"),
        ({"model/reference.json": b"{"}, "no JSON"),
        ({"model/reference.json": b'{"reference": {"blob": {}}}'}, "blob needs url"),
        (
            {"model/reference.json": b'{"reference": {"azureML": {"model": {"name": "m"}}}}'},
            "Azure Machine Learning (azureML), which is not offered",
        ),
        ({"model/reference.json": b'{"reference": {"sagemaker": {}}}'}, "SageMaker"),
        ({"model/reference.json": b'{"reference": {"huggingface": {"model": "a"}}}'}, "Hugging"),
        ({"model/reference.json": b'{"reference": {"databricks": {}}}'}, "Databricks"),
        ({"model/reference.json": b'{"schemaVersion": "1", "reference": {}}'}, "in 2.0.0"),
        ({"model/model.skops": b"PK", "metadata.json": b"[1]"}, "metadata.json"),
    ],
)
def test_a_folder_that_breaks_the_contract_is_refused_in_words(
    content: dict[str, bytes], said: str, tree: GitTree, git_url: str, imported: Imported
) -> None:
    for name, data in content.items():
        tree.write(name, data)
    tree.commit()

    assert said in failed(imported(git(git_url)))


def test_a_sub_path_that_is_missing_is_named(
    tree: GitTree, git_url: str, imported: Imported
) -> None:
    tree.write("a/model/model.skops", b"x")
    tree.commit()

    assert "no folder b/c at main" in failed(imported(git(git_url, path="b/c")))


def test_a_link_within_the_repository_is_followed_and_one_out_of_it_refused(
    tree: GitTree, git_url: str, imported: Imported, files: dict[str, bytes]
) -> None:
    tree.write("shared/net.skops", files["model.skops"])
    (tree.folder / "model").mkdir()
    (tree.folder / "model" / "model.skops").symlink_to("../shared/net.skops")
    tree.commit()
    (tree.folder / "secret").symlink_to("../../etc/passwd")
    tree.commit("evil")

    assert "outside the repository" in failed(imported(git(git_url, ref="evil")))
    assert imported(git(git_url)).state == "done"


def test_a_reference_to_a_file_elsewhere_is_followed(
    tree: GitTree, git_url: str, imported: Imported, files: dict[str, bytes]
) -> None:
    def answer(handler: Any) -> None:
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(files["model.skops"])

    with http(answer) as url:
        reference = {"reference": {"blob": {"url": f"{url}/risk.skops"}}, "schemaVersion": "2.0.0"}
        tree.write("model/reference.json", json.dumps(reference).encode())
        commit = tree.commit()
        job = imported(git(git_url))

    assert job.error == ""
    assert job.draft.source["uri"] == f"{url}/risk.skops"
    assert job.draft.source["git"]["commit"] == commit


def test_a_reference_to_an_image_becomes_a_version_without_a_file(
    tree: GitTree, git_url: str, imported: Imported
) -> None:
    reference = {"reference": {"docker": {"image": "registry.example/risk:1", "port": 9000}}}
    tree.write("model/reference.json", json.dumps(reference).encode())
    tree.commit()

    job = imported(git(git_url), name="Risk", auto=True)

    assert (job.version.framework, job.version.artifact) == ("custom", None)
    assert job.version.source["image"] == "registry.example/risk:1"
    assert job.version.source["port"] == 9000


def test_a_file_that_changed_after_its_checksum_was_written_down_is_refused(
    tree: GitTree, git_url: str, imported: Imported, files: dict[str, bytes]
) -> None:
    tree.write("model/model.skops", files["model.skops"])
    tree.commit()

    assert "it was changed" in failed(imported(git(git_url, sha256="0" * 64)))


def test_an_import_is_cancelled_before_and_tried_again(
    tree: GitTree,
    git_url: str,
    workspace: Workspace,
    operator: User,
    files: dict[str, bytes],
) -> None:
    tree.write("model/model.skops", files["model.skops"])
    tree.commit()
    job = services.start_import(workspace=workspace, source=git(git_url), by=operator)
    services.cancel_import(job=job, by=operator.actor)
    assert performing.perform(job.id) == "nothing to do"
    assert job.state == "cancelled"

    services.retry_import(job=job, by=operator.actor)
    assert performing.perform(job.id) == "done"

"""Bad input of every kind: the old revision serves on, and a message names the cause."""

import importlib
import inspect
import io
import os
import pickle
import select
import socket
import zipfile
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone
from sklearn.linear_model import LogisticRegression

from apps.accounts import services as accounts
from apps.accounts.models import User, Workspace
from apps.core.errors import Invalid
from apps.deployments import model_client, services
from apps.deployments.models import Deployment, Replica, Revision
from apps.deployments.reconcile import Reconciler
from apps.registry import services as registry
from apps.registry import storage
from apps.registry.credentials.services import create_credential
from apps.registry.imports.services import start_import
from apps.registry.models import Credential, Import, Model, ModelVersion
from apps.registry.services import Upload
from apps.registry.tasks import perform_import
from tests.deployments.test_bad_models import METADATA, ROW, until
from tests.live import LiveServer
from tests.predictions.gateway.conftest import CASE
from tests.predictions.gateway.conftest import serving as running
from tests.registry.sources.servers import GitTree, git_backend
from tests.registry.sources.servers import http as served_over_http

_GIGABYTE = 1024**3
pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]
GIT = "tests.registry.sources.test_git"
IMAGES = (
    "tests.deployments.backends.test_custom_images",
    "test_an_image_that_cannot_serve_fails_with_its_cause_and_the_old_one_serves_on",
)
# What the product must survive, and the tests that say so; those of this module go the whole way.
COVERED: dict[str, list[tuple[str, str]]] = {
    "an image that does not exist": [IMAGES],
    "an image that is never ready": [IMAGES],
    "an image that speaks neither protocol": [IMAGES],
    "a contract folder without a model": [
        (__name__, "test_a_source_that_cannot_be_used_leaves_the_old_revision_alone"),
        (GIT, "test_a_folder_that_breaks_the_contract_is_refused_in_words"),
    ],
    "a commit that is gone": [
        (__name__, "test_a_source_that_cannot_be_used_leaves_the_old_revision_alone"),
        (GIT, "test_a_commit_that_is_gone_is_named"),
    ],
    "a wrong credential": [
        (__name__, "test_a_source_that_cannot_be_used_leaves_the_old_revision_alone"),
        (GIT, "test_a_repository_behind_a_password_opens_with_its_credential"),
    ],
    "a file that changed after its checksum was written down": [
        (__name__, "test_a_source_that_cannot_be_used_leaves_the_old_revision_alone"),
        (GIT, "test_a_file_that_changed_after_its_checksum_was_written_down_is_refused"),
    ],
    "an artifact that changed on disk": [
        (__name__, "test_an_artifact_that_changed_on_disk_is_not_started"),
    ],
    "an archive with names that lead out of it": [
        (__name__, "test_an_archive_that_leads_out_of_itself_is_refused"),
        ("tests.registry.test_archives", "test_names_and_kinds_that_no_model_needs_are_refused"),
    ],
    "an upload beyond the limit": [
        (__name__, "test_an_upload_of_ten_gigabytes_ends_early"),
        ("tests.site.test_body_limit", "test_an_excess_that_was_not_declared_ends_at_the_limit"),
    ],
}


@pytest.mark.parametrize("what", COVERED)
def test_every_kind_is_held_by_a_test(what: str) -> None:
    for module, name in COVERED[what]:
        assert inspect.isfunction(getattr(importlib.import_module(module), name))


@pytest.fixture
def reconciler() -> Iterator[Reconciler]:
    made = Reconciler()
    yield made
    made.stop_everything(timezone.now())


@pytest.fixture
def model(workspace: Workspace, operator: User) -> Model:
    return registry.create_model(workspace=workspace, name="Logistic", by=operator)


@pytest.fixture
def add(model: Model, operator: User) -> Callable[[float], ModelVersion]:
    """A version of the model, of a file of its own."""

    def added(shift: float) -> ModelVersion:
        content = pickle.dumps(LogisticRegression().fit([[0.0, shift], [1.0, 0.0]], [0, 1]))
        return registry.add_version(
            model=model, artifact=Upload("m.pkl", [content]), metadata=METADATA, by=operator
        )

    return added


@pytest.fixture
def serving(
    add: Callable[[float], ModelVersion],
    workspace: Workspace,
    operator: User,
    reconciler: Reconciler,
) -> Deployment:
    """A deployment whose first revision serves."""
    version = add(1.0)
    if version.is_blocked:
        registry.override_scan(version=version, reason="A test", by=operator)
    deployment = services.create_deployment(
        workspace=workspace, name="Credit risk", model_version=version, by=operator
    )
    until(reconciler, deployment, 1, "active")
    return deployment


def assert_the_old_one_serves(deployment: Deployment, reconciler: Reconciler) -> None:
    reconciler.tick(timezone.now())
    deployment.refresh_from_db()
    assert deployment.active_revision is not None
    assert deployment.active_revision.number == 1
    replica = Replica.objects.get(
        component__revision=deployment.active_revision, state=Replica.State.READY
    )
    assert model_client.predict(replica.address, ROW)


def test_an_artifact_that_changed_on_disk_is_not_started(
    serving: Deployment,
    add: Callable[[float], ModelVersion],
    operator: User,
    reconciler: Reconciler,
) -> None:
    version = add(2.0)
    path = storage.path_of(version.file.sha256)
    os.chmod(path, 0o600)
    path.write_bytes(path.read_bytes() + b" ")

    services.create_revision(deployment=serving, model_version=version, by=operator)
    failed = until(reconciler, serving, 2, Revision.State.FAILED)

    assert f"The stored file of {version}" in failed.error
    assert "no longer has the checksum" in failed.error
    assert_the_old_one_serves(serving, reconciler)


def test_a_source_that_cannot_be_used_leaves_the_old_revision_alone(
    serving: Deployment,
    model: Model,
    operator: User,
    reconciler: Reconciler,
    tmp_path: Path,
    settings: Any,
) -> None:
    settings.OUTBOUND_ALLOW = ["127.0.0.0/8"]
    tree = GitTree(tmp_path / "git")
    tree.write("empty/README.md", b"no model here")
    tree.write("risk/model/model.pkl", pickle.dumps(LogisticRegression()))
    tree.commit()
    wrong = create_credential(
        workspace=model.workspace,
        name="Wrong",
        kind=Credential.Kind.PASSWORD,
        secret={"username": "me", "password": "wrong"},
        by=operator,
    )

    def refusal(url: str, credential: Credential | None = None, **source: str) -> str:
        given = {"kind": "git", "url": url, "ref": "main"} | source
        job = start_import(
            workspace=model.workspace, model=model, source=given, credential=credential, auto=True,
            by=operator,
        )  # fmt: skip
        perform_import(str(job.id))
        job.refresh_from_db()
        assert (job.state, job.version) == (Import.State.FAILED, None)
        return job.error

    with served_over_http(git_backend(tree.bare.parent)) as address:
        url = f"{address}/models.git"
        assert "There is no folder model/ here" in refusal(url, path="empty")
        gone = refusal(url, ref="0123456789" * 4, path="risk")
        assert "012345678901 is not in the repository any more" in gone
        changed = refusal(url, path="risk", sha256="0" * 64)
        assert "it was changed after that was written down" in changed
    with served_over_http(git_backend(tree.bare.parent, "me:right")) as address:
        assert "refuses the credential" in refusal(f"{address}/models.git", wrong, path="risk")

    assert model.versions.count() == 1
    assert_the_old_one_serves(serving, reconciler)


def test_an_archive_that_leads_out_of_itself_is_refused(
    serving: Deployment, model: Model, operator: User, reconciler: Reconciler
) -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("model/MLmodel", "flavors: {}")
        archive.writestr("../../outside.txt", "out")
    upload = Upload("model.zip", [content.getvalue()])

    with pytest.raises(Invalid, match="leads out of it"):
        registry.add_version(model=model, artifact=upload, metadata=METADATA, by=operator)

    assert model.versions.count() == 1
    assert_the_old_one_serves(serving, reconciler)


@pytest.mark.parametrize("declared", [True, False], ids=["declared", "in chunks"])
def test_an_upload_of_ten_gigabytes_ends_early(
    transactional_db: None, workspace: Workspace, operator: User, tmp_path: Path, declared: bool
) -> None:
    pair, secret = accounts.create_key_pair(user=operator, name="uploads")
    login = b64encode(f"{pair.access_key}:{secret}".encode()).decode()
    with running(workspace, operator, tmp_path) as served:
        model = workspace.models.get()
        served.wait_for(lambda: served.predict({"instances": [CASE]})[0] == 200)
        server = LiveServer(UPLOAD_MAX_BYTES=str(_GIGABYTE)).start()
        try:
            path = f"/workspaces/{workspace.id}/models/{model.id}/versions"
            answer, sent = _uploaded(server.port, path, login, declared=declared)
        finally:
            server.stop()
        assert served.predict({"instances": [CASE]})[0] == 200

    assert b" 413 " in answer.splitlines()[0]
    assert b"larger than 1,024 MB" in answer
    assert sent < (1 if declared else 1.1 * _GIGABYTE)
    assert model.versions.count() == 1
    left = list(storage.path_of("0" * 64).parent.parent.glob("incoming-*"))
    assert left == []


def _uploaded(port: int, path: str, login: str, *, declared: bool) -> tuple[bytes, int]:
    """What is answered to a file of ten gigabytes, and how many bytes of it went out before."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Basic {login}\r\n"
        "Content-Type: multipart/form-data; boundary=x\r\n"
    )
    form = (
        b'--x\r\nContent-Disposition: form-data; name="artifact"; filename="m.pkl"\r\n'
        b"Content-Type: application/octet-stream\r\n\r\n"
    )
    length = f"Content-Length: {10 * _GIGABYTE}" if declared else "Transfer-Encoding: chunked"
    piece, sent = bytes(1024**2), 0
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(f"{head}{length}\r\n\r\n".encode())
        if not declared:
            connection.sendall(b"%x\r\n%b\r\n" % (len(form), form))
        wait = 10.0 if declared else 0.0
        while sent < 10 * _GIGABYTE and not select.select([connection], [], [], wait)[0]:
            wait = 0.0
            try:
                connection.sendall(piece if declared else b"%x\r\n%b\r\n" % (len(piece), piece))
            except (BrokenPipeError, ConnectionResetError):
                break
            sent += len(piece)
        return connection.recv(65_536), sent

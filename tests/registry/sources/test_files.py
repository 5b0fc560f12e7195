"""Files and folders by URI, from real servers, and everything that can be wrong there."""

import hashlib
import io
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from apps.accounts.models import User, Workspace
from apps.core.errors import Invalid
from apps.registry import services, storage
from apps.registry.credentials.services import create_credential
from apps.registry.models import Artifact, Credential, Draft, Import, Model
from apps.registry.services import Upload
from apps.registry.sources import packing
from tests.deployments.kept import KEPT
from tests.registry.sources.servers import http, send, user_of

Imported = Callable[..., Import]
pytestmark = pytest.mark.django_db


def at(uri: str, **given: str) -> dict[str, str]:
    return {"kind": "files", "uri": uri, **given}


def failed(job: Import) -> str:
    """The reason; nothing half-made may be left."""
    assert job.state == "failed", job.log
    assert not Draft.objects.exists()
    assert not Model.objects.exists()
    assert not Artifact.objects.exists()
    return job.error


def test_a_file_comes_by_https_with_a_credential_and_its_checksum(
    imported: Imported, files: dict[str, bytes], workspace: Workspace, operator: User
) -> None:
    credential = create_credential(
        workspace=workspace,
        name="Files",
        kind="password",
        secret={"username": "ada", "password": "p"},
        by=operator,
    )
    body = files["model.skops"]

    def answer(handler: Any) -> None:
        send(
            handler, body if user_of(handler) == "ada:p" else b"", 200 if user_of(handler) else 401
        )

    with http(answer) as url:
        assert "refuses the credential" in failed(imported(at(f"{url}/risk.skops")))
        sums = {"sha256": hashlib.sha256(body).hexdigest()}
        job = imported(at(f"{url}/risk.skops", **sums), credential)

    assert job.error == ""
    assert job.draft.filename == "risk.skops"
    assert job.draft.artifact.sha256 == sums["sha256"]


def test_an_answer_that_never_ends_stops_at_the_limit(imported: Imported, settings: Any) -> None:
    settings.UPLOAD_MAX_BYTES = 3 * 1024**2

    def answer(handler: Any) -> None:
        handler.send_response(200)
        handler.end_headers()
        try:
            while True:
                handler.wfile.write(b"x" * 65536)
        except OSError:
            pass

    with http(answer) as url:
        assert "larger than 3 MB" in failed(imported(at(f"{url}/endless.skops")))


def test_an_answer_that_drips_stops_in_time(imported: Imported, settings: Any) -> None:
    settings.IMPORT_SECONDS = 3

    def answer(handler: Any) -> None:
        handler.send_response(200)
        handler.end_headers()
        try:
            while True:
                handler.wfile.write(b"x")
                handler.wfile.flush()
        except OSError:
            pass

    with http(answer) as url:
        error = failed(imported(at(f"{url}/slow.skops")))
    assert "3 seconds" in error or "longer than it may" in error


def test_a_redirect_to_an_address_within_is_refused(imported: Imported, settings: Any) -> None:
    settings.OUTBOUND_ALLOW = ["127.0.0.1/32"]

    with http(lambda h: send(h, b"", 302, Location="http://169.254.169.254/latest/")) as url:
        assert "169.254.169.254 is an address within" in failed(imported(at(f"{url}/m.skops")))


def test_what_is_not_there_is_named(imported: Imported) -> None:
    with http(lambda h: send(h, b"no", 404)) as url:
        assert "nothing at this address" in failed(imported(at(f"{url}/m.skops")))
    assert "is not offered" in failed(imported(at("ftp://example.org/m.skops")))


def test_a_folder_of_this_machine_has_to_be_allowed(
    imported: Imported, files: dict[str, bytes], tmp_path: Path, settings: Any
) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "risk.skops").write_bytes(files["model.skops"])
    (tmp_path / "secret").write_bytes(b"x")
    (tmp_path / "models" / "link").symlink_to(tmp_path / "secret")

    assert "LOCAL_SOURCES" in failed(imported(at(str(tmp_path / "models" / "risk.skops"))))
    settings.LOCAL_SOURCES = [str(tmp_path / "models")]
    assert "LOCAL_SOURCES" in failed(imported(at(f"{tmp_path}/models/../secret")))
    assert "LOCAL_SOURCES" in failed(imported(at(f"{tmp_path}/models/link")))
    assert "leads out" in failed(imported(at(f"{tmp_path}/models")))
    assert imported(at(f"{tmp_path}/models/risk.skops")).state == "done"


def archive(*names: str) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        for name in names:
            file.writestr(name, "x")
    return content.getvalue()


@pytest.mark.parametrize("name", ["../../etc/cron.d/x", "/etc/passwd", "a/../../b", "..\\x"])
def test_an_archive_whose_names_lead_out_of_it_is_refused(
    name: str, imported: Imported, workspace: Workspace, operator: User
) -> None:
    content = archive("schema.json", name)

    with http(lambda h: send(h, content)) as url:
        assert "leads out of it" in failed(imported(at(f"{url}/model.zip")))
    with pytest.raises(Invalid, match="leads out of it"):
        services.stage_upload(
            workspace=workspace, artifact=Upload("model.zip", [content]), by=operator
        )


def test_a_folder_is_packed_into_the_same_bytes_whenever(tmp_path: Path) -> None:
    for folder, order in (("one", ("b", "a/c")), ("two", ("a/c", "b"))):
        for name in order:
            path = tmp_path / folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(name.encode())
    first = packing.pack(tmp_path / "one", tmp_path / "1.zip").read_bytes()

    assert packing.pack(tmp_path / "two", tmp_path / "2.zip").read_bytes() == first
    assert zipfile.ZipFile(io.BytesIO(first)).namelist() == ["a/c", "b"]


@pytest.fixture
def store() -> Iterator[tuple[str, Any]]:
    """A server that speaks S3 and checks signatures' keys, with a bucket."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    _host, port = server.get_host_and_port()
    url = f"http://127.0.0.1:{port}"
    client = boto3.client(
        "s3",
        endpoint_url=url,
        aws_access_key_id="key",
        aws_secret_access_key="secret",
        region_name="us-east-1",
    )
    client.create_bucket(Bucket="models")
    try:
        yield url, client
    finally:
        client.close()
        server.stop()


@pytest.fixture
def s3(store: tuple[str, Any], workspace: Workspace, operator: User) -> Credential:
    secret = {"accessKeyId": "key", "secretAccessKey": "secret", "endpoint": store[0]}
    return create_credential(
        workspace=workspace,
        name="Store",
        kind="s3",
        secret=secret | {"bucket": "models"},
        by=operator,
    )


def test_a_file_comes_from_s3(
    store: tuple[str, Any], s3: Credential, imported: Imported, files: dict[str, bytes]
) -> None:
    store[1].put_object(Bucket="models", Key="risk/model.skops", Body=files["model.skops"])

    job = imported(at("s3://models/risk/model.skops"), s3)

    assert job.error == ""
    assert job.draft.detected["format"] == "skops"


def test_a_folder_comes_from_s3_as_one_archive(
    store: tuple[str, Any], s3: Credential, imported: Imported
) -> None:
    with zipfile.ZipFile(KEPT / "columns-mlflow.zip") as kept:
        for name in kept.namelist():
            if not name.endswith("/"):
                store[1].put_object(Bucket="models", Key=f"risk/{name}", Body=kept.read(name))
    store[1].put_object(Bucket="models", Key="risk-of-another-name/MLmodel", Body=b"not ours")

    job = imported(at("s3://models/risk"), s3)

    assert job.error == ""
    assert job.draft.detected["framework"] == "mlflow"
    with zipfile.ZipFile(storage.path_of(job.draft.artifact.sha256)) as packed:
        assert any(name.endswith("MLmodel") for name in packed.namelist())
        assert all(packed.read(name) != b"not ours" for name in packed.namelist())


def test_what_s3_does_not_have_is_named(s3: Credential, imported: Imported) -> None:
    assert "nothing at s3://models/none" in failed(imported(at("s3://models/none"), s3))


def test_a_store_within_is_refused(s3: Credential, imported: Imported, settings: Any) -> None:
    settings.OUTBOUND_ALLOW = []

    assert "within this network" in failed(imported(at("s3://models/risk"), s3))

"""Credentials: encrypted, tried for real, never shown again, refused deletion while needed."""

import io
import json
import socket
import threading
from collections.abc import Iterator
from typing import Any

import paramiko
import pytest
from django.db import connection

from apps.accounts.models import User, Workspace
from apps.audit.models import Event
from apps.core.errors import Conflict, Invalid
from apps.registry.credentials import services
from apps.registry.credentials.kinds import PARTS
from apps.registry.imports.services import create_repository
from apps.registry.models import Credential
from tests.registry.sources.servers import http, send, user_of

pytestmark = pytest.mark.django_db
SECRET = "correct-horse-battery"


@pytest.fixture
def make(workspace: Workspace, operator: User) -> Any:
    def made(kind: str, **secret: str) -> Credential:
        name = f"{kind} {Credential.objects.count()}"
        return services.create_credential(
            workspace=workspace, name=name, kind=kind, secret=secret, by=operator
        )

    return made


def tried(credential: Credential, by: User) -> str:
    error = services.try_credential(credential=credential, by=by.actor)
    credential.refresh_from_db()
    assert credential.test_error == error[:500]
    assert credential.tested_at is not None
    return error


def test_the_secret_is_nowhere_readable(make: Any) -> None:
    credential = make("password", username="ada", password=SECRET)

    with connection.cursor() as cursor:
        cursor.execute("SELECT secret FROM registry_credential")
        assert SECRET.encode() not in bytes(cursor.fetchone()[0])
    assert SECRET not in json.dumps(list(Event.objects.values_list("data", flat=True)))
    assert credential.hint == "ada"
    assert services.opened(credential) == {"username": "ada", "password": SECRET}


@pytest.mark.parametrize(
    ("kind", "secret", "field"),
    [
        ("password", {"username": "ada"}, "password"),
        ("token", {"token": "t", "colour": "red"}, "colour"),
        ("ssh", {"privateKey": "hello", "host": "git.example"}, "privateKey"),
        ("gcs", {"serviceAccount": "{}", "bucket": "b"}, "serviceAccount"),
        ("azure", {"account": "a", "container": "c"}, "accountKey"),
        ("header", {"header": "X Key", "value": "v"}, "header"),
        ("unknown", {}, "kind"),
    ],
)
def test_what_is_missing_or_wrong_is_named(
    kind: str, secret: dict[str, str], field: str, make: Any
) -> None:
    with pytest.raises(Invalid) as refusal:
        make(kind, **secret)
    assert refusal.value.errors[0]["field"] == field


def test_every_kind_has_parts_and_a_short_name() -> None:
    assert set(PARTS) == set(Credential.Kind.values)


def test_a_password_and_a_token_are_tried_at_their_address(make: Any, operator: User) -> None:
    def answer(handler: Any) -> None:
        given = handler.headers.get("Authorization", "")
        right = user_of(handler) == "ada:p" or given == "Bearer t"
        send(handler, b"", 200 if right else 401)

    with http(answer) as url:
        assert tried(make("password", username="ada", password="p", url=url), operator) == ""
        assert tried(make("token", token="t", url=url), operator) == ""
        wrong = make("password", username="ada", password="q", url=url)
        assert "refuses the credential" in tried(wrong, operator)
    assert "says no address" in tried(make("token", token="t"), operator)


def test_a_place_within_is_not_tried(make: Any, operator: User, settings: Any) -> None:
    settings.OUTBOUND_ALLOW = []

    credential = make("token", token="t", url="http://169.254.169.254/latest/")
    assert "within this network" in tried(credential, operator)


def test_an_oauth_client_is_tried_at_its_token_server(make: Any, operator: User) -> None:
    def answer(handler: Any) -> None:
        right = user_of(handler) == "id:s"
        send(handler, b'{"access_token": "a"}' if right else b"{}", 200 if right else 401)

    with http(answer) as url:
        right = make("oauth", clientId="id", clientSecret="s", tokenUrl=url)
        wrong = make("oauth", clientId="id", clientSecret="x", tokenUrl=url)
        assert tried(right, operator) == ""
        assert "refuses" in tried(wrong, operator)


def test_a_registry_is_tried_as_docker_signs_in(make: Any, operator: User) -> None:
    """By the token service that the registry names."""
    where: list[str] = []

    def answer(handler: Any) -> None:
        if handler.path.startswith("/token"):
            right = user_of(handler) == "ada:p"
            return send(handler, b'{"token": "x"}' if right else b"{}", 200 if right else 401)
        challenge = f'Bearer realm="{where[0]}/token",service="registry"'
        return send(handler, b"", 401, WWW_Authenticate=challenge)

    with http(answer) as url:
        where.append(url)
        host = url.removeprefix("http://")
        right = make("registry", registry=host, username="ada", password="p")
        wrong = make("registry", registry=host, username="ada", password="q")
        assert tried(right, operator) == ""
        assert "refuses" in tried(wrong, operator)


class _Door(paramiko.ServerInterface):
    def __init__(self, key: paramiko.PKey) -> None:
        self.key = key

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        right = username == "git" and key.get_base64() == self.key.get_base64()
        return paramiko.AUTH_SUCCESSFUL if right else paramiko.AUTH_FAILED

    def get_allowed_auths(self, username: str) -> str:
        return "publickey"


@pytest.fixture
def ssh_server() -> Iterator[tuple[int, str]]:
    """A server that accepts one key as git; its port and the private key."""
    ours = paramiko.ECDSAKey.generate()
    host = paramiko.ECDSAKey.generate()
    listening = socket.create_server(("127.0.0.1", 0))
    listening.settimeout(0.1)
    ended = threading.Event()
    transports: list[paramiko.Transport] = []

    def serve() -> None:
        while not ended.is_set():
            try:
                client, _ = listening.accept()
            except TimeoutError:
                continue
            client.setblocking(True)
            transport = paramiko.Transport(client)
            transports.append(transport)
            transport.add_server_key(host)
            transport.start_server(server=_Door(ours), event=threading.Event())

    thread = threading.Thread(target=serve)
    thread.start()
    text = io.StringIO()
    ours.write_private_key(text)
    try:
        yield listening.getsockname()[1], text.getvalue()
    finally:
        ended.set()
        thread.join()
        for transport in transports:
            transport.close()
        listening.close()


def test_an_ssh_key_is_tried_and_the_host_remembered(
    ssh_server: tuple[int, str], make: Any, operator: User
) -> None:
    port, key = ssh_server
    credential = make("ssh", privateKey=key, host=f"git@127.0.0.1:{port}")

    assert tried(credential, operator) == ""
    known = services.opened(credential)["knownHosts"]
    assert known.startswith(f"[127.0.0.1]:{port} ecdsa")

    other = paramiko.ECDSAKey.generate()
    line = f"[127.0.0.1]:{port} {other.get_name()} {other.get_base64()}"
    changed = make("ssh", privateKey=key, host=f"127.0.0.1:{port}", knownHosts=line)
    assert "shows another key" in tried(changed, operator)


def test_a_key_that_the_host_does_not_know_is_refused(
    ssh_server: tuple[int, str], make: Any, operator: User
) -> None:
    text = io.StringIO()
    paramiko.ECDSAKey.generate().write_private_key(text)
    credential = make("ssh", privateKey=text.getvalue(), host=f"127.0.0.1:{ssh_server[0]}")

    assert "refuses the SSH key for git" in tried(credential, operator)


def test_it_is_renamed_replaced_and_deleted(make: Any, operator: User) -> None:
    credential = make("token", token="old")
    services.rename_credential(credential=credential, name="New name", by=operator.actor)
    services.replace_credential(credential=credential, secret={"token": "new"}, by=operator.actor)
    assert services.opened(credential) == {"token": "new"}
    services.delete_credential(credential=credential, by=operator.actor)

    assert not Credential.objects.exists()
    names = list(Event.objects.order_by("number").values_list("name", flat=True))
    assert names == [f"credential.{act}" for act in ("created", "renamed", "replaced", "deleted")]


def test_it_stays_while_a_repository_needs_it(
    make: Any, workspace: Workspace, operator: User
) -> None:
    credential = make("token", token="t")
    create_repository(
        workspace=workspace,
        name="Models",
        url="https://git.example/m.git",
        credential=credential,
        by=operator,
    )

    with pytest.raises(Conflict, match="used by Models"):
        services.delete_credential(credential=credential, by=operator.actor)


def test_two_of_a_name_are_refused(make: Any, workspace: Workspace, operator: User) -> None:
    make("token", token="t")
    with pytest.raises(Conflict, match="already"):
        services.create_credential(
            workspace=workspace, name="TOKEN 0", kind="token", secret={"token": "t"}, by=operator
        )

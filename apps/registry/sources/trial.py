"""Tries a credential where it says that it may be tried; connects for real."""

import json
import re
from base64 import b64encode
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode, urlsplit

from apps.core.outbound_http import open_url
from apps.registry.sources import files, ssh
from apps.registry.sources.errors import SourceFailed

Write = Callable[[str], None]
_HOST = re.compile(
    r"^(?:(?P<user>[\w.-]+)@)?(?P<host>[\w.-]+|\[[0-9a-fA-F:]+\])(?::(?P<port>\d+))?$"
)
_SECONDS = 15


def attempt(job: dict[str, Any], write: Write) -> dict[str, str]:
    """What was learnt by connecting. Raises SourceFailed where the place refuses."""
    kind, secret = str(job["kind"]), job["secret"]
    if kind == "ssh":
        return _ssh(secret)
    if kind == "oauth":
        files.access_token(secret)
    elif kind == "registry":
        _registry(secret)
    elif kind in {"s3", "gcs", "azure"}:
        _store(kind, secret)
    else:
        _address(kind, secret)
    return {}


def _address(kind: str, secret: dict[str, str]) -> None:
    url = secret.get("url")
    if not url:
        raise SourceFailed(
            "This credential says no address to try it on; replace it, and give one that it opens."
        )
    is_git = url.endswith(".git")
    asked = f"{url}/info/refs?service=git-upload-pack" if is_git else url
    if is_git and kind == "token":
        kind, secret = "password", {"username": "oauth2", "password": secret["token"]}
    headers = files.headers_of({"kind": kind, "secret": secret})
    with open_url(asked, headers=headers, seconds=_SECONDS) as answer:
        files.check_status(answer.status, str(urlsplit(url).hostname))


def _ssh(secret: dict[str, str]) -> dict[str, str]:
    match = _HOST.match(secret["host"])
    if not match:
        raise SourceFailed(f"{secret['host']} is no host; write git.example or git@git.example:22.")
    host, port = match["host"].strip("[]"), int(match["port"] or 22)
    transport, line = ssh.opened(host, port, match["user"] or "git", ssh.Login.of(secret))
    transport.close()
    return {} if secret.get("knownHosts") else {"knownHosts": line}


def _store(kind: str, secret: dict[str, str]) -> None:
    protocol = {"s3": "s3", "gcs": "gcs", "azure": "abfs"}[kind]
    store = files.store_for(protocol, {"kind": kind, "secret": secret})
    bucket = secret.get("bucket") or secret.get("container") or ""
    try:
        store.ls(bucket, detail=False)
    except FileNotFoundError:
        raise SourceFailed(
            f"There is no bucket {bucket}, or it is not shown to this key."
        ) from None
    except PermissionError as error:
        raise SourceFailed(f"The store refuses the key: {str(error)[:200]}") from error


def _registry(secret: dict[str, str]) -> None:
    """As `docker login` does: the v2 address, and the token service that it names."""
    host = secret["registry"].removeprefix("https://").removeprefix("http://").rstrip("/")
    if host in {"docker.io", "index.docker.io"}:
        host = "registry-1.docker.io"
    name = host.rpartition(":")[0] or host
    # A registry on this machine is asked without TLS, as the engine itself does
    scheme = "http" if name == "localhost" or name.startswith("127.") else "https"
    pair = b64encode(f"{secret['username']}:{secret['password']}".encode()).decode()
    basic = {"authorization": f"Basic {pair}"}
    with open_url(f"{scheme}://{host}/v2/", headers=basic, seconds=_SECONDS) as answer:
        status, challenge = answer.status, answer.headers.get("www-authenticate", "")
    if status != 401 or not challenge.lower().startswith("bearer"):
        files.check_status(status, name)
        return
    words = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
    query = urlencode({"service": words.get("service", ""), "account": secret["username"]})
    with open_url(f"{words.get('realm', '')}?{query}", headers=basic, seconds=_SECONDS) as answer:
        files.check_status(answer.status, name)
        try:
            token = json.loads(answer.read())
        except ValueError:
            token = {}
    if not (token.get("token") or token.get("access_token")):
        raise SourceFailed(f"{name} gave no token; it does not answer as a registry does.")

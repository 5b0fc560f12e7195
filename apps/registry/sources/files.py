"""Fetches a file or a folder by URI: https, S3, Google Cloud Storage, Azure, a folder of ours."""

import json
import posixpath
import re
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import fsspec
from django.conf import settings

from apps.core.outbound import check_url
from apps.core.outbound_http import open_url
from apps.registry.sources.errors import SourceFailed

Write = Callable[[str], None]
_CHUNK_BYTES = 1024**2
_MOST_FILES = 10_000
_STORES = {
    "s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs", "az": "abfs", "abfs": "abfs",
    "abfss": "abfs", "wasbs": "abfs",
}  # fmt: skip
_KINDS = {"s3": "s3", "gcs": "gcs", "abfs": "azure"}
_PACKAGES = {"gcs": "gcsfs", "abfs": "adlfs"}


def fetch(job: dict[str, Any], write: Write) -> dict[str, Any]:
    """Writes what lies at `uri` to `target`; gives `{"name", "isFolder"}`.

    A file lies at `target/name`, a folder's files below it. Raises SourceFailed.
    """
    uri, target = str(job["uri"]), Path(job["target"]) / "tree"
    target.mkdir()
    scheme = urlsplit(uri).scheme.lower()
    credential = job.get("credential") or {}
    bound = Bound(int(job["maxBytes"]), write)
    if scheme in {"http", "https"}:
        return _from_address(uri, credential, target, bound, float(job["seconds"]))
    if scheme in {"", "file"}:
        return _from_folder(uri, target, bound)
    if scheme in _STORES:
        return _from_store(uri, _STORES[scheme], credential, target, bound)
    raise SourceFailed(
        f"{scheme}:// is not offered; give an address that begins with https://, s3://, gs://, "
        "az://, or the path of a folder that an administrator allowed."
    )


class Bound:
    """Counts what is written, and stops beyond the limit."""

    def __init__(self, max_bytes: int, write: Write) -> None:
        self.max_bytes, self.left, self.write = max_bytes, max_bytes, write

    def save(self, chunks: Iterator[bytes], path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        size = 0
        with path.open("wb") as file:
            for chunk in chunks:
                size += len(chunk)
                self.left -= len(chunk)
                if self.left < 0:
                    raise SourceFailed(
                        f"What lies there is larger than {self.max_bytes // 1024**2:,} MB, the "
                        "limit of this installation. Ask an administrator to raise "
                        "UPLOAD_MAX_BYTES."
                    )
                file.write(chunk)
        self.write(f"Read {path.name}, {size:,} bytes")


def _from_address(
    uri: str, credential: dict[str, Any], target: Path, bound: Bound, seconds: float
) -> dict[str, Any]:
    host = urlsplit(uri).hostname
    bound.write(f"Asking {host}")
    limit = bound.max_bytes
    with open_url(uri, headers=headers_of(credential), seconds=seconds, max_bytes=limit) as answer:
        check_status(answer.status, str(host))
        name = _name_of(answer.headers.get("content-disposition", ""), answer.url)
        bound.save(answer.chunks(), target / name)
    return {"name": name, "isFolder": False}


def headers_of(credential: dict[str, Any]) -> dict[str, str]:
    """What proves to an HTTP server who asks. Raises SourceFailed for another kind."""
    kind, secret = credential.get("kind"), credential.get("secret") or {}
    if not kind:
        return {}
    if kind == "password":
        pair = b64encode(f"{secret['username']}:{secret['password']}".encode()).decode()
        return {"authorization": f"Basic {pair}"}
    if kind == "token":
        return {"authorization": f"Bearer {secret['token']}"}
    if kind == "header":
        return {secret["header"]: secret["value"]}
    if kind == "oauth":
        return {"authorization": f"Bearer {access_token(secret)}"}
    raise SourceFailed(f"A credential of the kind {kind} does not open an https address.")


def access_token(secret: dict[str, str]) -> str:
    """A token by the client credentials grant of OAuth 2.0 (RFC 6749, 4.4)."""
    pair = b64encode(f"{secret['clientId']}:{secret['clientSecret']}".encode()).decode()
    scope = f"&scope={secret['scope'].replace(' ', '+')}" if secret.get("scope") else ""
    with open_url(
        secret["tokenUrl"],
        method="POST",
        headers={
            "authorization": f"Basic {pair}",
            "content-type": "application/x-www-form-urlencoded",
        },
        body=f"grant_type=client_credentials{scope}".encode(),
        max_bytes=_CHUNK_BYTES,
    ) as answer:
        check_status(answer.status, str(urlsplit(secret["tokenUrl"]).hostname))
        try:
            return str(json.loads(answer.read())["access_token"])
        except (ValueError, KeyError, TypeError):
            raise SourceFailed("The address of the tokens answered without a token.") from None


def check_status(status: int, host: str) -> None:
    """Raises SourceFailed where an answer is no success."""
    if status in {401, 403}:
        raise SourceFailed(
            f"{host} refuses the credential, or wants one (status {status}). Test the credential, "
            "or choose another."
        )
    if status in {404, 410}:
        raise SourceFailed(f"{host} has nothing at this address (status {status}); check it.")
    if not 200 <= status < 300:
        raise SourceFailed(f"{host} answered with status {status}; try again, or ask its operator.")


def _name_of(disposition: str, url: str) -> str:
    match = re.search(r'filename="?([^";]+)', disposition)
    name = match[1] if match else unquote(posixpath.basename(urlsplit(url).path))
    name = posixpath.basename(name.replace("\\", "/")).strip()
    return name[:200] if name.strip(".") else "model"


def _from_folder(uri: str, target: Path, bound: Bound) -> dict[str, Any]:
    """From below a root in LOCAL_SOURCES; links that lead out of it are not followed."""
    wanted = Path(unquote(urlsplit(uri).path) if uri.startswith("file:") else uri)
    if not wanted.is_absolute():
        raise SourceFailed(f"{uri} is no absolute path, and no address such as https:// or s3://.")
    roots = [Path(root).resolve() for root in settings.LOCAL_SOURCES]
    path = wanted.resolve()
    if not any(path == root or root in path.parents for root in roots):
        raise SourceFailed(
            f"{wanted} lies in no folder from which models may be taken. An administrator can "
            "allow one with LOCAL_SOURCES."
        )
    if not path.exists():
        raise SourceFailed(f"There is no {wanted} on the machine of the worker; check the path.")
    store = fsspec.filesystem("file")
    return _copied(store, str(path), target, bound, within=next(r for r in roots if _in(path, r)))


def _in(path: Path, root: Path) -> bool:
    return path == root or root in path.parents


def _from_store(
    uri: str, protocol: str, credential: dict[str, Any], target: Path, bound: Bound
) -> dict[str, Any]:
    store = store_for(protocol, credential)
    path = uri.partition("://")[2].rstrip("/")
    bound.write(f"Asking {urlsplit(uri).netloc}")
    try:
        return _copied(store, path, target, bound)
    except FileNotFoundError:
        raise SourceFailed(
            f"There is nothing at {uri}, or the credential does not show it; check bucket and path."
        ) from None
    except PermissionError as error:
        raise SourceFailed(
            f"The credential may not read {uri}: {_short(error)}. Test it, or choose another."
        ) from error


def store_for(protocol: str, credential: dict[str, Any]) -> Any:
    """The file system of an object store. Raises SourceFailed where it cannot be opened."""
    kind, secret = credential.get("kind"), credential.get("secret") or {}
    if kind and kind != _KINDS[protocol]:
        raise SourceFailed(f"A credential of the kind {kind} does not open {protocol}://.")
    try:
        if protocol == "s3":
            return _s3(secret)
        if protocol == "gcs":
            token = json.loads(secret["serviceAccount"]) if secret else "anon"
            return fsspec.filesystem("gcs", token=token, skip_instance_cache=True)
        options = {"account_key": secret.get("accountKey"), "sas_token": secret.get("sasToken")}
        account = secret.get("account")
        return fsspec.filesystem("abfs", account_name=account, skip_instance_cache=True, **options)
    except ImportError:
        raise SourceFailed(
            f"{protocol}:// needs the package {_PACKAGES[protocol]}, which this installation does "
            "not have; ask an administrator to install it."
        ) from None


def _s3(secret: dict[str, str]) -> Any:
    endpoint = secret.get("endpoint")
    if endpoint:
        check_url(endpoint)
    return fsspec.filesystem(
        "s3",
        anon=not secret,
        key=secret.get("accessKeyId"),
        secret=secret.get("secretAccessKey"),
        token=secret.get("sessionToken"),
        endpoint_url=endpoint,
        client_kwargs={"region_name": secret.get("region") or "us-east-1"},
        config_kwargs={
            "connect_timeout": 10,
            "read_timeout": 60,
            "retries": {"max_attempts": 2},
            **({"s3": {"addressing_style": "path"}} if endpoint else {}),
        },
        skip_instance_cache=True,
        use_listings_cache=False,
    )


def _copied(
    store: Any, path: str, target: Path, bound: Bound, within: Path | None = None
) -> dict[str, Any]:
    if store.isfile(path):
        name = posixpath.basename(path)
        bound.save(_chunks(store, path), target / name)
        return {"name": name, "isFolder": False}
    found = sorted(store.find(path))
    if not found:
        raise FileNotFoundError(path)
    if len(found) > _MOST_FILES:
        raise SourceFailed(f"The folder holds more than {_MOST_FILES:,} files; give a deeper path.")
    root = path.rstrip("/") + "/"
    for each in found:
        relative = (
            each[each.index(root) + len(root) :] if root in each else posixpath.basename(each)
        )
        inside = (target / relative).resolve()
        if target.resolve() not in inside.parents:
            raise SourceFailed(f"The folder holds a file named {relative!r}; it is refused.")
        if within and not _in(Path(each).resolve(), within):
            raise SourceFailed(f"{each} is a link that leads out of the allowed folder.")
        bound.save(_chunks(store, each), inside)
    return {"name": posixpath.basename(path.rstrip("/")) or "model", "isFolder": True}


def _chunks(store: Any, path: str) -> Iterator[bytes]:
    with store.open(path, "rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            yield chunk


def _short(error: Exception) -> str:
    return (str(error) or type(error).__name__)[:200]

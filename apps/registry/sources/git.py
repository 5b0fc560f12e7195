"""Fetches one commit of a Git repository: shallow, without hooks, submodules, filters or LFS.

Nothing is checked out by a Git program: the tree is walked, and its files are written one by one.
"""

import posixpath
import re
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from stat import S_ISDIR, S_ISLNK, S_ISREG
from typing import Any, cast
from urllib.parse import urlsplit

import urllib3
from dulwich.client import GitClient, HttpGitClient, HTTPUnauthorized, SSHGitClient
from dulwich.config import ConfigFile, StackedConfig
from dulwich.errors import GitProtocolError, HangupException, NotGitRepository
from dulwich.object_store import BaseObjectStore, tree_lookup_path
from dulwich.objects import S_ISGITLINK, Blob, Commit, ObjectID, Tag, Tree
from dulwich.repo import MemoryRepo
from paramiko import SSHException

from apps.core.outbound import check_url, resolve, tls
from apps.registry.sources.errors import SourceFailed
from apps.registry.sources.ssh import Login, ParamikoVendor

Write = Callable[[str], None]
_REFUSALS = (GitProtocolError, HangupException, HTTPUnauthorized)
_COMMIT = re.compile(r"^[0-9a-f]{40}$")
_SHORT_COMMIT = re.compile(r"^[0-9a-f]{7,39}$")
_SCP_LIKE = re.compile(r"^(?:(?P<user>[\w.-]+)@)?(?P<host>[\w.-]+):(?P<path>(?!//).+)$")
_LFS = b"version https://git-lfs.github.com/spec/"
_MOST_FILES = 10_000
_MOST_LINKS = 5


def fetch(job: dict[str, Any], write: Write) -> dict[str, Any]:
    """Writes the files below `path` of the commit that `ref` names to `target`.

    Gives `{"commit", "ref"}`. Raises SourceFailed with what was wrong and what to do.
    """
    url, ref, path = job["url"], job.get("ref") or "", (job.get("path") or "").strip("/")
    remote = _Remote(url, job.get("credential"))
    write(f"Asking {remote.host} for its branches and tags")
    name, wanted = _resolved(remote.refs(), ref, url)
    write(f"Fetching {name} at {wanted.decode()[:12]}")
    repository = MemoryRepo()
    remote.fetch(repository, wanted, ref)
    commit = _commit(repository.object_store, wanted, ref)
    tree = _folder(repository.object_store, commit, path, ref or name)
    walk = _Walk(repository.object_store, commit.tree, int(job["maxBytes"]))
    walk.write(tree, path, Path(job["target"]) / "tree")
    write(f"Read {walk.count} files, {walk.size:,} bytes")
    return {"commit": commit.id.decode(), "ref": name}


class _Remote:
    """A repository elsewhere, over https, http or SSH."""

    def __init__(self, url: str, credential: dict[str, Any] | None) -> None:
        self.url = url
        kind, secret = (credential or {}).get("kind"), (credential or {}).get("secret") or {}
        scp = _SCP_LIKE.match(url)
        if scp or url.startswith("ssh://"):
            parts = urlsplit(url)
            self.host = scp["host"] if scp else str(parts.hostname)
            self.path = scp["path"] if scp else parts.path
            if kind != "ssh":
                raise SourceFailed(f"{self.host} is asked over SSH: choose an SSH key for it.")
            user = (scp["user"] if scp else parts.username) or "git"
            port = 22 if scp else parts.port or 22
            resolve(self.host, port)
            self.client: GitClient = SSHGitClient(
                self.host,
                port=port,
                username=user,
                vendor=ParamikoVendor(Login.of(secret)),
                config=StackedConfig([]),
            )
        else:
            check_url(url)
            parts = urlsplit(url)
            self.host, self.path = str(parts.hostname), parts.path
            self.client = _over_http(url, kind, secret)

    def refs(self) -> dict[bytes, bytes]:
        found = self._asked(lambda: self.client.get_refs(self.path.encode()))
        return {name: sha for name, sha in found.refs.items() if sha}

    def fetch(self, repository: MemoryRepo, wanted: bytes, ref: str) -> None:
        """One commit alone; where the server gives no such thing, the branches with history."""

        def one(refs: Any, depth: Any = None) -> list[ObjectID]:
            return [ObjectID(wanted)]

        def every(refs: Any, depth: Any = None) -> list[ObjectID]:
            return [ObjectID(s) for n, s in refs.items() if n.startswith(b"refs/heads/") and s]

        path = self.path.encode()
        try:
            self.client.fetch(path, repository, determine_wants=one, depth=1)
        except (*_REFUSALS, KeyError) as error:
            if not _COMMIT.match(ref):
                raise SourceFailed(self._refusal(error)) from error
            self._asked(lambda: self.client.fetch(path, repository, determine_wants=every))

    def _asked(self, ask: Callable[[], Any]) -> Any:
        try:
            return ask()
        except NotGitRepository:
            raise SourceFailed(
                f"{self.host} has no repository {self.path}, or shows it only with a credential; "
                "check the address and the credential."
            ) from None
        except (HangupException, SSHException) as error:
            if not isinstance(self.client, SSHGitClient):
                raise SourceFailed(self._refusal(error)) from error
            raise SourceFailed(
                f"{self.host} ended the call: it has no repository {self.path}, or does not show "
                f"it to this key. It said: {str(error)[:300]}"
            ) from error
        except _REFUSALS as error:
            raise SourceFailed(self._refusal(error)) from error

    def _refusal(self, error: Exception) -> str:
        text = str(error) or type(error).__name__
        if isinstance(error, HTTPUnauthorized) or " 403 " in f"{text} ":
            return (
                f"{self.host} refuses the credential, or wants one, for {self.path}. Test the "
                "credential, or choose another."
            )
        if "Max retries" in text or "Connection" in text:
            return f"{self.host} cannot be reached: {text[-200:]}. Check the address."
        return f"{self.host} did not answer as a Git server does: {text[:300]}. Check the address."


def _over_http(url: str, kind: str | None, secret: dict[str, str]) -> HttpGitClient:
    headers = {"User-Agent": "git/deeploy"}
    if kind == "password":
        pair = f"{secret['username']}:{secret['password']}".encode()
        headers["Authorization"] = f"Basic {b64encode(pair).decode()}"
    elif kind == "token":
        pair = f"oauth2:{secret['token']}".encode()
        headers["Authorization"] = f"Basic {b64encode(pair).decode()}"
    elif kind == "header":
        headers[secret["header"]] = secret["value"]
    elif kind:
        raise SourceFailed(f"A credential of the kind {kind} does not open a repository by https.")
    personal = ["Authorization", "Cookie", *([secret["header"]] if kind == "header" else [])]
    pool = urllib3.PoolManager(
        headers=headers,
        ssl_context=tls(),
        timeout=urllib3.Timeout(connect=10, read=60),
        retries=urllib3.Retry(
            connect=0, read=0, redirect=3, status=0, other=0, remove_headers_on_redirect=personal
        ),
    )
    return HttpGitClient(url, pool_manager=pool, config=StackedConfig([ConfigFile()]))


def _resolved(refs: dict[bytes, bytes], ref: str, url: str) -> tuple[str, bytes]:
    """The name and the object that `ref` means: a branch, a tag, a commit, or the default."""
    if _COMMIT.match(ref):
        return ref[:12], ref.encode()
    if not ref:
        if b"HEAD" not in refs:
            raise SourceFailed("The repository is empty, or has no default branch; name a branch.")
        same = [n for n, s in refs.items() if s == refs[b"HEAD"] and n.startswith(b"refs/heads/")]
        name = same[0].decode().removeprefix("refs/heads/") if same else "HEAD"
        return name, refs[b"HEAD"]
    for prefix in ("refs/heads/", "refs/tags/", ""):
        found = refs.get(f"{prefix}{ref}^{{}}".encode()) or refs.get(f"{prefix}{ref}".encode())
        if found:
            return ref, found
    if _SHORT_COMMIT.match(ref):
        raise SourceFailed(
            f"{ref} is no branch or tag of the repository; give a commit with all 40 digits."
        )
    heads = sorted(n.decode()[11:] for n in refs if n.startswith(b"refs/heads/"))
    shown = ", ".join(heads[:5]) + (f" and {len(heads) - 5} more" if len(heads) > 5 else "")
    raise SourceFailed(
        f"The repository has no branch or tag {ref}; it was deleted or renamed. "
        f"Its branches are {shown or 'none'}."
    )


def _commit(store: BaseObjectStore, wanted: bytes, ref: str) -> Commit:
    try:
        found = store[ObjectID(wanted)]
        while isinstance(found, Tag):
            found = store[found.object[1]]
    except KeyError:
        raise SourceFailed(
            f"The commit {wanted.decode()[:12]} is not in the repository any more: its branch was "
            "deleted or rewritten. Choose another commit."
        ) from None
    if not isinstance(found, Commit):
        raise SourceFailed(f"{ref} names no commit.")
    return found


def _folder(store: BaseObjectStore, commit: Commit, path: str, ref: str) -> Tree:
    if not path:
        return cast(Tree, store[commit.tree])
    try:
        mode, sha = tree_lookup_path(store.__getitem__, commit.tree, path.encode())
    except Exception:
        raise SourceFailed(f"There is no folder {path} at {ref}; check the sub-path.") from None
    if not S_ISDIR(mode):
        raise SourceFailed(f"{path} is a file, no folder; give the folder that holds model/.")
    return cast(Tree, store[sha])


class _Walk:
    """Writes a tree's files, counted and weighed."""

    def __init__(self, store: BaseObjectStore, root: ObjectID, max_bytes: int) -> None:
        self.store, self.root, self.max_bytes = store, root, max_bytes
        self.count = self.size = 0

    def write(self, tree: Tree, inside: str, target: Path) -> None:
        target.mkdir(parents=True)
        for entry in tree.iteritems():
            name = entry.path.decode(errors="replace")
            where = posixpath.join(inside, name)
            if name in {"", ".", "..", ".git"} or "/" in name or "\\" in name:
                raise SourceFailed(f"The repository holds a file named {name!r}; it is refused.")
            if S_ISGITLINK(entry.mode):
                continue
            if S_ISDIR(entry.mode):
                self.write(cast(Tree, self.store[entry.sha]), where, target / name)
            elif S_ISLNK(entry.mode):
                self._follow(entry.sha, where, target / name)
            elif S_ISREG(entry.mode):
                self._file(cast(Blob, self.store[entry.sha]), where, target / name)

    def _file(self, blob: Blob, where: str, target: Path) -> None:
        self.count += 1
        self.size += blob.raw_length()
        if self.count > _MOST_FILES or self.size > self.max_bytes:
            raise SourceFailed(
                f"The folder holds more than {_MOST_FILES:,} files or {self.max_bytes // 1024**2:,}"
                " MB, the limit of this installation. Give a sub-path."
            )
        if blob.data.startswith(_LFS):
            raise SourceFailed(
                f"{where} lies in Git LFS, which is not fetched. Put the file into object storage "
                "and refer to it in a reference.json."
            )
        target.write_bytes(blob.data)

    def _follow(self, sha: ObjectID, where: str, target: Path) -> None:
        """A link within the repository becomes the file that it means."""
        here = where
        for _ in range(_MOST_LINKS):
            to = cast(Blob, self.store[sha]).data.decode(errors="replace")
            here = posixpath.normpath(posixpath.join(posixpath.dirname(here), to))
            if to.startswith("/") or here.split("/")[0] == "..":
                raise SourceFailed(
                    f"{where} is a link to {to}, outside the repository; it is refused. Commit "
                    "the file itself."
                )
            try:
                mode, sha = tree_lookup_path(self.store.__getitem__, self.root, here.encode())
            except Exception:
                raise SourceFailed(f"{where} is a link to {to}, which does not exist.") from None
            if S_ISREG(mode):
                return self._file(cast(Blob, self.store[sha]), where, target)
            if not S_ISLNK(mode):
                break
        raise SourceFailed(f"{where} is a link to a folder or to itself; commit the files.")

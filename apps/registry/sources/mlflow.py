"""Fetches a version of an MLflow registry through its REST API.

Artifacts come through the tracking server's own proxy (`mlflow-artifacts`); where the registry
names a store instead, that is read with the credential given for it.
"""

import json
import posixpath
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from apps.core.outbound_http import open_url
from apps.registry.sources import files
from apps.registry.sources.errors import SourceFailed

Write = Callable[[str], None]
URI = re.compile(r"^models:/(?P<name>[^/@]+)(?:/(?P<which>[^/@]+)|@(?P<alias>[^/@]+))$")
_API = "/api/2.0/mlflow"
_PROXY = "/api/2.0/mlflow-artifacts/artifacts"
_MOST_FILES = 2_000


def fetch(job: dict[str, Any], write: Write) -> dict[str, Any]:
    """Writes the model's folder to `target`; gives `{"name", "isFolder", "version", "run"}`.

    `uri` is `models:/name/version`, `models:/name/stage` or `models:/name@alias`; `tracking` the
    address of the server. Raises SourceFailed.
    """
    match = URI.match(str(job["uri"]))
    if not match:
        raise SourceFailed(
            f"{job['uri']} is no model of MLflow; write models:/name/3, models:/name/Production or "
            "models:/name@champion."
        )
    server = _Server(str(job["tracking"]).rstrip("/"), job)
    version = server.version(match["name"], match["which"], match["alias"])
    write(f"{match['name']} is version {version['version']}, run {version.get('run_id', '–')}")
    where = server.where(match["name"], version)
    found = server.files(where, write)
    return found | {"version": str(version["version"]), "run": version.get("run_id", "")}


class _Server:
    """A tracking server, asked with the credential of the job."""

    def __init__(self, address: str, job: dict[str, Any]) -> None:
        self.address, self.job = address, job
        self.host = str(urlsplit(address).hostname)
        credential = job.get("credential") or {}
        opens_http = credential.get("kind") in {"password", "token", "header", "oauth"}
        self.headers = files.headers_of(credential) if opens_http else {}

    def version(self, name: str, which: str | None, alias: str | None) -> dict[str, Any]:
        """The version that a number, a stage or an alias names."""
        quoted = quote(name, safe="")
        if alias:
            path = f"/registered-models/alias?name={quoted}&alias={quote(alias, safe='')}"
            return dict(self._json(f"{_API}{path}", name)["model_version"])
        if which and which.isdigit():
            path = f"/model-versions/get?name={quoted}&version={which}"
            return dict(self._json(f"{_API}{path}", name)["model_version"])
        model = self._json(f"{_API}/registered-models/get?name={quoted}", name)["registered_model"]
        latest = model.get("latest_versions") or []
        for each in latest:
            if str(each.get("current_stage", "")).lower() == str(which).lower():
                return dict(each)
        if which == "latest" and latest:
            return dict(max(latest, key=lambda each: int(each["version"])))
        raise SourceFailed(f"{name} has no version in the stage {which} at {self.host}.")

    def where(self, name: str, version: dict[str, Any]) -> str:
        """The URI of the version's files."""
        quoted = quote(name, safe="")
        path = f"/model-versions/get-download-uri?name={quoted}&version={version['version']}"
        return str(self._json(f"{_API}{path}", name)["artifact_uri"])

    def files(self, where: str, write: Write) -> dict[str, Any]:
        """Writes the files below `where`, through the server or from the store that it names."""
        if not where.startswith("mlflow-artifacts:"):
            if "://" not in where and not where.startswith("/"):
                raise SourceFailed(
                    f"{self.host} keeps the files at {where}, which is unknown here."
                )
            return files.fetch(self.job | {"uri": where}, write)
        root = urlsplit(where).path.strip("/")
        target = Path(self.job["target"]) / "tree"
        target.mkdir()
        bound = files.Bound(int(self.job["maxBytes"]), write)
        names = self._listed(root, "")
        if not names:
            raise SourceFailed(f"{self.host} has no files of this version any more.")
        for name in names:
            inside = (target / name).resolve()
            if target.resolve() not in inside.parents:
                raise SourceFailed(f"{self.host} names a file {name!r}; it is refused.")
            with self._open(f"{_PROXY}/{quote(f'{root}/{name}')}") as answer:
                files.check_status(answer.status, self.host)
                bound.save(answer.chunks(), inside)
        return {"name": posixpath.basename(root) or "model", "isFolder": True}

    def _listed(self, root: str, folder: str) -> list[str]:
        path = f"{root}/{folder}".rstrip("/")
        found = self._json(f"{_PROXY}?path={quote(path, safe='')}", path).get("files") or []
        names: list[str] = []
        for each in found:
            name = posixpath.join(folder, posixpath.basename(str(each["path"]).rstrip("/")))
            names += self._listed(root, name) if each.get("is_dir") else [name]
            if len(names) > _MOST_FILES:
                raise SourceFailed(f"The version holds more than {_MOST_FILES:,} files.")
        return names

    def _open(self, path: str) -> Any:
        return open_url(
            self.address + path,
            headers=self.headers,
            seconds=float(self.job["seconds"]),
            max_bytes=int(self.job["maxBytes"]),
        )

    def _json(self, path: str, what: str) -> dict[str, Any]:
        with self._open(path) as answer:
            if answer.status in {404, 400}:
                raise SourceFailed(
                    f"{self.host} knows no such model, version or alias of {what}; check the URI."
                )
            files.check_status(answer.status, self.host)
            try:
                return dict(json.loads(answer.read()))
            except (ValueError, TypeError):
                raise SourceFailed(
                    f"{self.host} did not answer as an MLflow server does; check its address."
                ) from None

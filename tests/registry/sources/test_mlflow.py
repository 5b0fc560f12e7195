"""Versions of an MLflow registry, from a server that answers as its REST API does."""

import json
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from apps.core.errors import Invalid
from apps.registry import storage
from apps.registry.models import Import
from tests.deployments.kept import KEPT
from tests.registry.sources.servers import http, send

Imported = Callable[..., Import]
pytestmark = pytest.mark.django_db
ROOT = "1/abc/artifacts/model"


@contextmanager
def tracking_server(contents: dict[str, bytes]) -> Iterator[str]:
    """The registry has one model, `risk`, version 3: stage Production, alias champion.

    Its files are `contents`, by path, in the server's own store.
    """
    version = {"name": "risk", "version": "3", "current_stage": "Production", "run_id": "abc"}

    def answer(handler: Any) -> None:
        parts = urlsplit(handler.path)
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        path = unquote(parts.path)
        if query.get("name", "risk") != "risk":
            return send(handler, b'{"error_code": "RESOURCE_DOES_NOT_EXIST"}', 404)
        if path.endswith("/registered-models/alias") and query["alias"] == "champion":
            said: Any = {"model_version": version}
        elif path.endswith("/model-versions/get") and query["version"] == "3":
            said = {"model_version": version}
        elif path.endswith("/registered-models/get"):
            said = {"registered_model": {"latest_versions": [version]}}
        elif path.endswith("/get-download-uri"):
            said = {"artifact_uri": f"mlflow-artifacts:/{ROOT}"}
        elif path.endswith("/mlflow-artifacts/artifacts"):
            said = {"files": _listed(contents, query["path"].removeprefix(ROOT).strip("/"))}
        elif (name := path.partition(f"{ROOT}/")[2]) in contents:
            return send(handler, contents[name])
        else:
            return send(handler, b"{}", 404)
        return send(handler, json.dumps(said).encode())

    with http(answer) as url:
        yield url


def _listed(contents: dict[str, bytes], folder: str) -> list[dict[str, Any]]:
    """What lies directly in a folder, as the server lists it."""
    inside = [name.removeprefix(f"{folder}/") for name in contents if name.startswith(folder)]
    tops = {name.partition("/")[0]: "/" in name for name in inside}
    return [{"path": name, "is_dir": is_dir} for name, is_dir in tops.items()]


@pytest.fixture
def tracking() -> Iterator[str]:
    with tracking_server({"MLmodel": b"flavors: {}", "data/model.txt": b"weights"}) as url:
        yield url


def test_a_model_of_mlflow_becomes_a_draft_and_the_version_names_what_it_came_from(
    imported: Imported,
) -> None:
    with zipfile.ZipFile(KEPT / "columns-mlflow.zip") as kept:
        contents = {name: kept.read(name) for name in kept.namelist() if not name.endswith("/")}
    with tracking_server(contents) as url:
        job = imported({"kind": "mlflow", "uri": "models:/risk@champion", "tracking": url})

    assert (job.state, job.error) == ("done", "")
    assert job.draft.detected["framework"] == "mlflow"
    assert (job.draft.source["version"], job.draft.source["run"]) == ("3", "abc")
    packed = zipfile.ZipFile(storage.path_of(job.draft.artifact.sha256))
    assert {name: packed.read(name) for name in packed.namelist()} == contents


@pytest.mark.parametrize("which", ["/3", "/production", "@champion", "/latest"])
def test_a_version_is_found_by_number_stage_alias_and_as_the_latest(
    which: str, tracking: str, imported: Imported
) -> None:
    job = imported({"kind": "mlflow", "uri": f"models:/risk{which}", "tracking": tracking})

    assert "risk is version 3, run abc" in job.log
    assert "Read MLmodel" in job.log
    assert "Read model.txt" in job.log
    assert "Packing the folder" in job.log


@pytest.mark.parametrize("which", ["other/3", "risk/9", "risk@nobody", "risk/Staging"])
def test_what_the_registry_does_not_have_is_named(
    which: str, tracking: str, imported: Imported
) -> None:
    job = imported({"kind": "mlflow", "uri": f"models:/{which}", "tracking": tracking})

    assert job.state == "failed"
    assert which.partition("/")[0].partition("@")[0] in job.error


def test_another_server_is_told_from_mlflow(imported: Imported) -> None:
    with http(lambda h: send(h, b"<html>")) as url:
        job = imported({"kind": "mlflow", "uri": "models:/risk/3", "tracking": url})
    assert "did not answer as an MLflow server does" in job.error


def test_a_uri_of_another_form_is_refused_at_once(imported: Imported) -> None:
    with pytest.raises(Invalid, match="models:/name/3"):
        imported({"kind": "mlflow", "uri": "runs:/abc/model", "tracking": "https://a.example"})

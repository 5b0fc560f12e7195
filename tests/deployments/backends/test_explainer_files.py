"""What an explainer reads beside the model reaches every kind of replica, and nothing else does;
and what it may take of the processor."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from apps.core.ids import uuid7
from apps.deployments.backends import confinement, docker, swarm
from apps.deployments.backends.base import ReplicaSpec
from apps.deployments.backends.containers import Listening, beside, server_inside
from apps.registry import storage
from apps.serving.spec import Explaining, ServerSpec


@pytest.fixture
def spec() -> ReplicaSpec:
    """An explainer whose model and background lie in the store."""
    model, rows = storage.store([b"a model"]), storage.store([b"a,b\n1,2\n"])
    explaining = Explaining(({"name": "x", "method": "lime"},), str(rows.path))
    server = ServerSpec("m", "sklearn", "skops", str(model.path), explaining=explaining)
    return ReplicaSpec(uuid7(), server, 1024**3)


def test_a_container_reads_it_where_the_spec_inside_says(spec: ReplicaSpec) -> None:
    inside = server_inside(spec, Listening(port=80))
    assert inside.explaining is not None
    assert list(beside(spec)) == [inside.explaining.background]
    assert beside(spec)[inside.explaining.background] == spec.server.explaining.background  # type: ignore[union-attr]


def test_a_model_server_has_nothing_beside_its_model(spec: ReplicaSpec) -> None:
    model = replace(spec, server=replace(spec.server, explaining=None))
    assert beside(model) == {}
    assert server_inside(model, Listening(uds="/s")).explaining is None


def test_a_process_may_read_it_and_no_other_file_of_the_store(
    spec: ReplicaSpec, tmp_path: Path
) -> None:
    isolation: dict[str, Any] = {"uid": None, "landlock": 1, "filter": False}
    config = confinement.launcher_config(spec, tmp_path, tmp_path / "run" / "s", isolation)
    stored = [path for path in config["landlock"]["read"] if "artifacts" in path]
    assert spec.server.explaining is not None
    assert stored == [spec.server.artifact, spec.server.explaining.background]


def test_a_task_of_the_swarm_fetches_it_with_the_model(spec: ReplicaSpec, settings: Any) -> None:
    settings.SWARM_FETCH_URL = "http://web:8000"
    mounts, fetch, artifact = swarm._files(spec)
    [more] = json.loads(fetch["FETCH_MORE"])
    inside = server_inside(spec, Listening(port=80), artifact)
    assert inside.explaining is not None
    assert more["target"] == inside.explaining.background
    assert str(Path(more["target"]).parent) == mounts[0]["Target"]
    settings.SWARM_FETCH_URL = ""
    assert len(swarm._files(spec)[0]) == 2


def test_it_gives_way_to_model_servers(spec: ReplicaSpec, tmp_path: Path) -> None:
    model = replace(spec, server=replace(spec.server, explaining=None))
    isolation: dict[str, Any] = {"uid": None, "landlock": 1, "filter": False}
    nices = [
        confinement.launcher_config(each, tmp_path, tmp_path / "run" / "s", isolation)["nice"]
        for each in (spec, model)
    ]
    assert nices == [5, 0]
    handle = {"name": "x", "directory": str(tmp_path), "socket": str(tmp_path / "s")}
    shares = [
        docker._container_options(each, handle, "i").get("cpu_shares", 1024)
        for each in (spec, model)
    ]
    assert shares == [341, 1024]

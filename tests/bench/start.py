"""Time from "deploy" to the first prediction through the gateway, cold and warm.

    python -m tests.bench.start [framework:backend …]

The whole product runs in a directory of its own: the control API takes the deployment, the
controller starts and checks it, the gateway answers and records. Cold is the first deployment of
a framework: its environment is built on the way, from the machine's package index and whatever
pip has cached, and so is the image for containers where no earlier run left it. Warm is the
median of the next ones. A framework is one row of `MODELS`; without arguments all `ROWS` are
measured, those of containers where an engine answers.
"""

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import orjson
import skops.io
import xgboost
from docker.errors import DockerException
from sklearn.linear_model import LogisticRegression

from tests.bench import machine, stack

_LONGEST_SECONDS = 1800
_WARM_TIMES = 3
# How often a deployment is asked whether it failed: each look takes the processor from the start
_LOOK_SECONDS = 0.5
_MEMORY_MB = 3000
_KEPT = stack.ROOT / "fixtures" / "artifacts"
_IMAGE = "deeploy-bench/v1:start"
MODELS = {
    "sklearn": "model.skops",
    "xgboost": "model.ubj",
    "pytorch": "digits.pt",
    "tensorflow": "digits-saved-model.zip",
    "onnx": "digits.onnx",
    "lightgbm": "columns.txt",
    "catboost": "columns.cbm",
    "mlflow": "columns-mlflow.zip",
    "custom": _IMAGE,
}
ROWS = [
    *((framework, "process") for framework in MODELS if framework != "custom"),
    ("sklearn", "docker"),
    ("pytorch", "docker"),
    ("custom", "docker"),
    ("sklearn", "swarm"),
]


@dataclass(frozen=True, slots=True)
class Registered:
    """A version in the product, and what it is asked."""

    version: str
    instances: list[Any]


def main() -> None:
    asked = [tuple(each.split(":")) for each in sys.argv[1:]]
    rows = [(framework, backend) for framework, backend in asked] or ROWS
    load = os.getloadavg()[0]
    print(f"{machine.describe()}; load {load:.1f}; warm n = {_WARM_TIMES}")
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    with ExitStack() as held:
        containers = any(backend != "process" for _, backend in rows)
        if containers and not held.enter_context(_engine(rows)):
            print("No Docker Engine answers: rows of containers are left out.")
            rows = [row for row in rows if row[1] == "process"]
        product = stack.Product(folder)
        held.callback(product.stop)
        _measure(stack.Api(product), rows, folder)


def _measure(api: stack.Api, rows: list[tuple[str, str]], folder: Path) -> None:
    print("| framework | backend | cold s | warm s |\n|---|---|---|---|")
    known: dict[str, Registered] = {}
    for framework, backend in rows:
        if framework not in known:
            known[framework] = _registered(api, framework, folder)
        times = [_seconds(api, known[framework], backend, n) for n in range(1 + _WARM_TIMES)]
        warm = statistics.median(times[1:])
        print(f"| {framework} | {backend} | {times[0]:.1f} | {warm:.1f} |", flush=True)


def _registered(api: stack.Api, framework: str, folder: Path) -> Registered:
    """The framework's model as a version that may run."""
    name = MODELS[framework]
    versions = f"models/{api.post('models', {'name': f'Start of {framework}'})['id']}/versions"
    if framework == "custom":
        api.post(versions, {"source": {"kind": "image", "image": name, "port": 8080}})
        return Registered(_imported(api, versions), [[0.0, 1.0]])
    if framework in ("sklearn", "xgboost"):
        _write(framework, folder / name)
        return Registered(api.upload(versions, folder / name, {})["id"], [[0.0, 1.0]])
    kept = orjson.loads((_KEPT / "answers.json").read_bytes())[name]
    made = api.upload(versions, _KEPT / name, kept["metadata"])
    if made["scan"]["risk"] == "dangerous":
        api.post(f"{versions}/{made['id']}/overrideScan", {"reason": "Made by this repository"})
    return Registered(made["id"], kept["instances"])


def _write(framework: str, path: Path) -> None:
    rows, labels = [[0.0, 1.0], [1.0, 0.0]], [0, 1]
    if framework == "sklearn":
        skops.io.dump(LogisticRegression().fit(rows, labels), path)
    else:
        xgboost.XGBClassifier(n_estimators=5).fit(rows, labels).save_model(path)


def _imported(api: stack.Api, versions: str) -> str:
    """The version that the worker makes of an image."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if found := api.get(versions):
            return str(found[0]["id"])
        time.sleep(0.2)
    raise RuntimeError("the worker made no version of the image")


def _seconds(api: stack.Api, model: Registered, backend: str, number: int) -> float:
    """From the call that deploys to the first answer of the gateway; the deployment ends then."""
    started = time.monotonic()
    name = f"{backend} {model.version[-6:]} {number}"
    body = {"name": name, "modelVersionId": model.version, "modelMemLimit": _MEMORY_MB}
    path = f"deployments/{api.post('deployments', body | {'backend': backend})['id']}"
    looked_at = started
    while True:
        try:
            api.post(f"{path}/predict", {"instances": model.instances})
            break
        except RuntimeError as error:
            if time.monotonic() - started > _LONGEST_SECONDS:
                raise RuntimeError(f"{name} never answered: {error}") from error
            if time.monotonic() - looked_at > _LOOK_SECONDS:
                looked_at = time.monotonic()
                if reasons := api.get(path)["errorDetails"]:
                    raise RuntimeError(f"{name} failed: {reasons}") from error
        time.sleep(0.05)
    took = time.monotonic() - started
    api.post(f"{path}/stop", {})
    return took


@contextmanager
def _engine(rows: list[tuple[str, str]]) -> Iterator[bool]:
    """The image and the swarm that the rows need; False where no engine answers."""
    try:
        client = docker.from_env(version="1.41")
        client.ping()
    except DockerException:
        yield False
        return
    if ("custom", "docker") in rows:
        client.images.build(path=str(stack.ROOT / "fixtures" / "images" / "v1"), tag=_IMAGE)
    begun = any(backend == "swarm" for _, backend in rows) and _begin_swarm(client)
    try:
        yield True
    finally:
        if begun:
            client.swarm.leave(force=True)
        client.close()


def _begin_swarm(client: docker.DockerClient) -> bool:
    """True where there was no swarm before."""
    if client.info()["Swarm"].get("ControlAvailable"):
        return False
    client.swarm.init(advertise_addr="127.0.0.1", listen_addr="127.0.0.1:2377")
    return True


if __name__ == "__main__":
    main()

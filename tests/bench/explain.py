"""What an explanation costs through the gateway with its record, beside the method by itself.

    python -m tests.bench.explain [--rows 100] [--seconds 20] [--only "credit / XGBoost"]
    python -m tests.bench.explain --beside [--rounds 5]

Starts the product in a directory of its own and deploys models on German credit (20 raw features)
and breast cancer (30 numbers) with all methods that suit them; the background is 100 rows of
training, rows are held out. For each method rows are explained in turns through the gateway (the
prediction, its explanation, the record of both) and in a bare process that has loaded what the
explainer's server has, until the seconds are used. LightGBM comes with packages of its own, which
the product builds first.

With --beside it asks instead what predictions of one connection cost alone, and while a client
explains without pause.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "deeploy_site.settings")

import django
import numpy as np
import orjson

from tests.bench import explain_beside, explain_models, machine, stack
from tests.bench.explain_bare import Bare
from tests.bench.explain_models import Made

_SHARES = {
    "XGBoost": ("shap.native", "shap.interventional"),
    "LightGBM": ("shap.native", "shap.interventional"),
    "boosting": ("shap.tree", "shap.interventional"),
    "histogram": ("shap.tree", "shap.interventional"),
    "logistic": ("shap.linear",),
}
_OTHERS = ("reason_codes", "lime", "anchors", "counterfactuals")
_BUILD_SECONDS = 1500
_HUNDRED = 100
_KEPT_SECONDS = 5


class Deployed:
    """A model that serves with its explainer: where to ask, and the explainer's own command."""

    def __init__(self, made: Made, path: str, product: stack.Product, explainer: list[str]) -> None:
        self.made, self.path, self.port, self.explainer = made, path, product.port, explainer
        self.headers = stack.Api(product).headers
        self.connection = HTTPConnection("127.0.0.1", self.port, timeout=700)
        self.asked_at = 0.0

    def ask(self, endpoint: str, instances: list[Any]) -> tuple[float, dict[str, Any]]:
        """Milliseconds of one call over the kept connection, and its answer."""
        body = orjson.dumps({"instances": instances})
        if time.monotonic() - self.asked_at > _KEPT_SECONDS:
            self.connection.close()  # the server may have done so; the next request opens it
        started = time.perf_counter()
        self.connection.request("POST", f"{self.path}/{endpoint}", body, self.headers)
        answer = self.connection.getresponse()
        text = answer.read()
        took = 1000 * (time.perf_counter() - started)
        self.asked_at = time.monotonic()
        if answer.status != 200:
            raise RuntimeError(f"{self.made.name} {endpoint}: {answer.status} {text[:500]!r}")
        content: dict[str, Any] = orjson.loads(text)
        return took, content

    @property
    def methods(self) -> tuple[str, ...]:
        return methods_of(self.made.name)


def methods_of(name: str) -> tuple[str, ...]:
    """The methods that are measured of a model, in their order."""
    return (*_SHARES[name.split(" / ")[1]], *_OTHERS)


def _settings(method: str, made: Made) -> dict[str, Any]:
    if method != "reason_codes":
        return {}
    codes = [
        {"code": f"R{at:02}", "text": feature["name"], "features": [feature["name"]]}
        for at, feature in enumerate(made.metadata["features"])
    ]
    adverse = "bad" if "bad" in made.metadata["predictionClasses"] else "malignant"
    return {"catalogue": {"version": "bench", "codes": codes}, "adverse": adverse}


@contextmanager
def deployed(product: stack.Product, made: Made) -> Iterator[Deployed]:
    """The model with its explainer, until it is measured."""
    api = stack.Api(product)
    before = {each.pid for each in product.processes()}
    model = api.post("models", {"name": made.name})
    path = f"models/{model['id']}/versions"
    version = api.upload(path, made.artifact, made.metadata, sample=made.sample)
    asked = {
        "name": made.name,
        "modelVersionId": version["id"],
        "explainerRows": explain_models.BACKGROUND,
        "explainers": [
            {"name": method, "method": method, "settings": _settings(method, made)}
            for method in methods_of(made.name)
        ],
    }
    deployment = api.post("deployments", asked)
    api.wait_until_serving(deployment["id"], seconds=_BUILD_SECONDS)
    where = f"{api.base}/deployments/{deployment['id']}"
    try:
        yield Deployed(made, where, product, _explainer(product, before))
    finally:
        product.call("DELETE", where, b"", api.headers)


def _explainer(product: stack.Product, before: set[int]) -> list[str]:
    """The command of the explainer's server that came last."""
    for process in product.processes():
        command = process.cmdline() if process.pid not in before else []
        if "--spec" in command and json.loads(Path(command[-1]).read_text())["explaining"]:
            return command
    raise RuntimeError("There is no explainer's server")


@dataclass
class Times:
    """Milliseconds of the calls of one method, each through the gateway and then bare."""

    through: list[float]
    bare: list[float]
    worked: list[float]

    @property
    def line(self) -> str:
        p50, p99 = np.quantile(self.through, [0.5, 0.99])
        alone, worst = np.quantile(self.bare, [0.5, 0.99])
        work = np.median(self.worked)
        return (
            f"{len(self.through)} | {p50:.1f} | {p99:.1f} | {alone:.1f} | {worst:.1f} | {work:.1f}"
        )


def in_turns(
    subject: Deployed, bare: Bare, method: str, *, calls: int, rows: int, seconds: float
) -> Times:
    """Calls of so many rows each, until there are enough or the seconds are used."""
    times = Times([], [], [])
    until = time.monotonic() + seconds
    for at in range(calls):
        held = subject.made.rows
        instances = [held[(at * rows + each) % len(held)] for each in range(rows)]
        took, answer = subject.ask(f"explain?explainer={method}", instances)
        _check(answer, method, rows)
        alone, worked = bare.call(method, instances, answer["predictions"])
        if at or calls < 3:  # the first call finds things cold
            times.through.append(took)
            times.bare.append(alone)
            times.worked.append(worked)
        if time.monotonic() > until and times.through:
            break
    return times


def _check(answer: dict[str, Any], method: str, rows: int) -> None:
    """Raises ValueError where an answer is not a recorded explanation by the method."""
    found = [each["explainers"][0]["method"] for each in answer["explanations"]]
    if found != [method] * rows or len(answer["predictionLogIds"]) != rows:
        raise ValueError(f"{method} answered with {found[:3]}")


def measure(subject: Deployed, asked: argparse.Namespace) -> None:
    """Prints a line for each method of one model."""
    predicted = [subject.ask("predict", [row])[0] for row in subject.made.rows[: asked.rows + 1]]
    p50, p99 = np.quantile(predicted[1:], [0.5, 0.99])
    print(f"| {subject.made.name} | prediction | {len(predicted) - 1} | {p50:.1f} | {p99:.1f} |")
    bare = Bare(subject.explainer[0], Path(subject.explainer[-1]))
    try:
        for method in methods_of(subject.made.name):
            if not method.startswith(asked.method):
                continue
            limits = {"calls": asked.rows + 1, "rows": 1, "seconds": asked.seconds}
            times = in_turns(subject, bare, method, **limits)
            hundred = " | "
            if _HUNDRED * np.median(times.through) < 2000 * asked.seconds:
                limits = {"calls": 6, "rows": _HUNDRED, "seconds": asked.seconds}
                found = in_turns(subject, bare, method, **limits)
                hundred = f"{np.median(found.through):.0f} | {np.median(found.bare):.0f}"
            print(f"| {subject.made.name} | {method} | {times.line} | {hundred} |", flush=True)
    finally:
        bare.close()


def lightgbm_python() -> Path:
    """An interpreter with LightGBM, to train by."""
    django.setup()
    from tests.serving.environments import interpreter

    return interpreter("lightgbm")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=20, help="at most, for each method")
    parser.add_argument("--only", default="", help="a part of the names of the models")
    parser.add_argument("--method", default="", help="how the names of the methods begin")
    parser.add_argument("--beside", action="store_true", help="predictions beside explanations")
    parser.add_argument("--rounds", type=int, default=5)
    return parser.parse_args()


def main() -> None:
    asked = arguments()
    print(machine.describe(), "load", *(f"{each:.1f}" for each in os.getloadavg()))
    with tempfile.TemporaryDirectory(prefix="deeploy-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "models").mkdir()
        product = stack.Product(folder, EXPLAIN_SECONDS="600", PREDICT_TIMEOUT_SECONDS="120")
        try:
            print(explain_beside.HEAD if asked.beside else _HEAD)
            for made in explain_models.made(folder / "models", asked.only, lightgbm_python):
                with deployed(product, made) as subject:
                    if asked.beside:
                        explain_beside.measure(subject, asked.rounds, asked.seconds)
                    else:
                        measure(subject, asked)
        finally:
            product.stop()
        print("load", *(f"{each:.1f}" for each in os.getloadavg()))


_HEAD = """
| model | method | n | p50 ms | p99 ms | bare p50 | bare p99 | bare CPU | 100 rows | bare 100 rows |
|---|---|---|---|---|---|---|---|---|---|"""


if __name__ == "__main__":
    main()

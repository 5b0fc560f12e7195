"""What a recorded prediction costs, beside a bare application around the same model.

    python -m tests.bench.predict [--seconds 4] [--rounds 3]

Starts the product with its demo in a directory of its own, adds a StandardScaler and
LogisticRegression pipeline on breast cancer data, and loads each deployment and its bare
counterpart in turns with 1, 16 and 64 connections. Every body is compared with the model's own
output in plain Python. Prints medians over the rounds. Not a test: nothing is asserted of speed.
"""

import argparse
import itertools
import json
import statistics
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pandas as pd
import skops.io
import xgboost
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tests.bench import load, machine, stack

CONNECTIONS = (1, 16, 64)
_ROWS = 200


@dataclass(frozen=True, slots=True)
class Subject:
    """A model as both sides serve it, with cases and what plain Python says of each."""

    name: str
    path: str
    authorization: str
    bare: dict[str, str]
    instances: list[Any]
    expected: list[list[float]]

    def requests(self, path: str, headers: dict[str, str]) -> Iterator[load.Request]:
        ready = [
            (load.http_request(path, orjson.dumps({"instances": [case]}), headers), outcome)
            for case, outcome in zip(self.instances, self.expected, strict=True)
        ]
        return itertools.cycle(ready)


def check(status: int, body: bytes, expected: list[float]) -> None:
    """Raises ValueError where an answer is not the model's own."""
    answer = orjson.loads(body)
    if status != 200:
        raise ValueError(f"{status}: {body[:300]!r}")
    given = answer["predictions"][0]
    if max(abs(a - b) for a, b in zip(given, expected, strict=True)) > 1e-12:
        raise ValueError(f"{given} is not {expected}")


def demo_subjects(product: stack.Product) -> list[Subject]:
    """Both credit deployments of the demo with held-out applications."""
    folder = product.var_dir / "demo"
    holdout = pd.read_csv(folder / "holdout.csv").head(_ROWS)
    subjects = []
    for deployment, source in zip(
        product.demo["deployments"][:2], ("gradient-boosting", "xgboost"), strict=True
    ):
        metadata = json.loads((folder / source / "metadata.json").read_text())
        names = [feature["name"] for feature in metadata["features"]]
        frame = holdout[names]
        categories = {
            f["name"]: f["categories"] for f in metadata["features"] if f["type"] == "category"
        }
        if source == "xgboost":
            artifact = folder / source / "model.ubj"
            model: Any = xgboost.XGBClassifier()
            model.load_model(artifact)
            typed = frame.astype(
                {name: pd.CategoricalDtype(known) for name, known in categories.items()}
            )
            expected = model.predict_proba(typed).astype(float)
        else:
            artifact = folder / source / "model.skops"
            model = skops.io.load(artifact, trusted=skops.io.get_untrusted_types(file=artifact))
            expected = model.predict_proba(frame)
        subjects.append(
            Subject(
                name=deployment["name"],
                path=f"/workspaces/{product.demo['workspaceId']}/deployments/{deployment['id']}/predict",
                authorization=f"Bearer {deployment['token']}",
                bare={
                    "BARE_MODEL": str(artifact),
                    "BARE_FRAME": "1",
                    "BARE_CATEGORIES": json.dumps(categories),
                },
                instances=frame.to_dict("records"),
                expected=expected.tolist(),
            )
        )
    return subjects


def linear_subject(product: stack.Product, folder: Path) -> Subject:
    """The pipeline that the control API uploads and deploys."""
    features, target = load_breast_cancer(return_X_y=True)
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(features, target)
    artifact = folder / "linear.skops"
    skops.io.dump(model, artifact)
    cases = features[:_ROWS]
    api = stack.Api(product)
    deployment = deploy(api, artifact, cases[0].tolist())
    return Subject(
        name="Logistic regression, breast cancer",
        path=f"/workspaces/{product.demo['workspaceId']}/deployments/{deployment}/predict",
        authorization=api.headers["Authorization"],
        bare={"BARE_MODEL": str(artifact)},
        instances=cases.tolist(),
        expected=np.asarray(model.predict_proba(cases)).tolist(),
    )


def deploy(api: stack.Api, artifact: Path, example: list[float]) -> str:
    """The id of a new deployment of a file, once it serves."""
    names = load_breast_cancer().feature_names.tolist()
    metadata = {
        "problemType": "classificationWithProbabilities",
        "features": [{"name": name, "type": "number"} for name in names],
        "exampleInput": {"instances": [example]},
    }
    model = api.post("models", {"name": "Breast cancer"})
    version = api.upload(f"models/{model['id']}/versions", artifact, metadata)
    made = api.post("deployments", {"name": "Breast cancer", "modelVersionId": version["id"]})
    api.wait_until_serving(made["id"])
    return str(made["id"])


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: medians over the rounds."""

    rate: float
    p50: float
    p99: float
    cpu: float


def measure(
    port: int, requests: Iterator[load.Request], processes: Any, connections: int, seconds: float
) -> tuple[load.Result, float]:
    """A run, and the CPU seconds per 1,000 requests of the processes that answered."""
    found = processes()
    before = stack.cpu_seconds(found)
    result = load.run(port, requests, check, connections=connections, seconds=seconds)
    return result, 1000 * (stack.cpu_seconds(found) - before) / result.answers


def compare(
    product: stack.Product, subject: Subject, *, rounds: int, seconds: float
) -> Iterator[tuple[int, Row, Row]]:
    """Connections, the bare application's row and ours."""
    headers = {"Authorization": subject.authorization}
    ours = subject.requests(subject.path, headers)
    theirs = subject.requests("/predict", {})
    with stack.bare(subject.bare) as (port, process):
        sides = {
            "bare": (port, theirs, lambda: [process, *process.children(True)]),
            "ours": (product.port, ours, product.processes),
        }
        for where, requests, processes in sides.values():
            measure(where, requests, processes, 16, 1.0)
        for connections in CONNECTIONS:
            seen: dict[str, list[Row]] = {"bare": [], "ours": []}
            for _ in range(rounds):
                for side, (where, requests, processes) in sides.items():
                    result, cpu = measure(where, requests, processes, connections, seconds)
                    seen[side].append(
                        Row(result.requests_per_second, result.p50_ms, result.p99_ms, cpu)
                    )
            yield connections, median(seen["bare"]), median(seen["ours"])


def median(rows: list[Row]) -> Row:
    return Row(*(statistics.median(getattr(row, name) for row in rows) for name in Row.__slots__))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help="a part of the names of the models to load")
    arguments = parser.parse_args()
    print(machine.describe())
    print(f"Medians of {arguments.rounds} rounds of {arguments.seconds:g} s, sides in turns.\n")
    print("| model | connections | side | requests/s | p50 ms | p99 ms | CPU s per 1,000 | ratio |")
    print("|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory(prefix="deeploy-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        product = stack.Product(folder)
        try:
            subjects = [*demo_subjects(product), linear_subject(product, folder)]
            for subject in (each for each in subjects if arguments.only in each.name):
                for connections, bare, ours in compare(
                    product, subject, rounds=arguments.rounds, seconds=arguments.seconds
                ):
                    for side, row in (("bare", bare), ("gateway", ours)):
                        ratio = f"{row.rate / bare.rate:.2f}"
                        print(
                            f"| {subject.name} | {connections} | {side} | {row.rate:,.0f} "
                            f"| {row.p50:.2f} | {row.p99:.2f} | {row.cpu:.2f} | {ratio} |",
                            flush=True,
                        )
        finally:
            product.stop()


if __name__ == "__main__":
    main()

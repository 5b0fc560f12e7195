"""What a batch of 8 images costs through the gateway, as bytes, as V2 JSON and as V1 lists.

    python -m tests.bench.tensors [--requests 30]

Starts the product in a directory of its own with two models that only look at pixels: 8 × 8 and
3 × 224 × 224 in single precision. One caller, kept-alive; prints medians. Not a test.
"""

import argparse
import http.client
import json
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from sklearn.dummy import DummyClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from tests.bench import machine, stack

SHAPES = ((8, 8), (3, 224, 224))
_BATCH = 8
_LENGTH = "Inference-Header-Content-Length"


def deploy(api: stack.Api, folder: Path, shape: tuple[int, ...]) -> dict[str, Any]:
    """A model that answers the same to every image, so that all time is ours."""
    model = make_pipeline(
        FunctionTransformer(np.reshape, kw_args={"shape": (-1, int(np.prod(shape)))}),
        DummyClassifier(),
    ).fit(np.zeros((2, *shape), "f4"), [0, 1])
    path = folder / "model.joblib"
    joblib.dump(model, path)
    name = f"Images of {' by '.join(map(str, shape))}"
    entry = api.post("models", {"name": name})
    version = api.upload(f"models/{entry['id']}/versions", path, {"problemType": "regression"})
    made: dict[str, Any] = api.post("deployments", {"name": name, "modelVersionId": version["id"]})
    api.wait_until_serving(made["id"])
    return made


def bodies(images: Any) -> Iterator[tuple[str, bytes, dict[str, str]]]:
    """Name, body and headers of each way to send the images."""
    shape = list(images.shape)
    head = {"name": "input", "datatype": "FP32", "shape": shape}
    raw = images.tobytes()
    sized = head | {"parameters": {"binary_data_size": len(raw)}}
    text = json.dumps({"inputs": [sized], "parameters": {"binary_data_output": True}}).encode()
    yield "V2 bytes", text + raw, {_LENGTH: str(len(text))}
    data = [float(f"{value:.6g}") for value in images.ravel().tolist()]
    yield "V2 JSON", json.dumps({"inputs": [head | {"data": data}]}).encode(), {}
    nested = np.array(data).reshape(shape).tolist()
    yield "V1 JSON", json.dumps({"instances": nested}).encode(), {}


def median_ms(port: int, path: str, body: bytes, headers: dict[str, str], requests: int) -> float:
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    times = []
    for _ in range(requests + 2):
        started = time.perf_counter()
        client.request("POST", path, body, headers)
        answer = client.getresponse()
        content = answer.read()
        times.append(1000 * (time.perf_counter() - started))
        if answer.status != 200:
            raise RuntimeError(f"{answer.status} {content[:300]!r}")
    client.close()
    return statistics.median(times[2:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=30)
    arguments = parser.parse_args()
    print(machine.describe())
    print(f"A batch of {_BATCH} in FP32, medians of {arguments.requests} requests.\n")
    print("| image | sent as | body kB | ms |")
    print("|---|---|---|---|")
    with tempfile.TemporaryDirectory(prefix="deeploy-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        product = stack.Product(folder, PREDICT_MAX_BODY_BYTES=str(64 * 1024**2))
        try:
            api = stack.Api(product)
            for shape in SHAPES:
                made = deploy(api, folder, shape)
                path = f"{api.base}/deployments/{made['id']}/predict"
                images = np.random.default_rng(1).random((_BATCH, *shape)).astype("<f4")
                for way, body, headers in bodies(images):
                    took = median_ms(
                        product.port, path, body, api.headers | headers, arguments.requests
                    )
                    size = f"{len(body) / 1000:,.0f}"
                    print(f"| {' × '.join(map(str, shape))} | {way} | {size} | {took:.1f} |")
        finally:
            product.stop()


if __name__ == "__main__":
    main()

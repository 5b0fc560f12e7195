"""What people write first: one ASGI function around the model, for granian; MODEL names the file.

Unbatched, unrecorded, unchecked. A data frame where the model was fitted on one, else an array.
"""

import json
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import orjson
import pandas as pd
import skops.io
import xgboost

from apps.serving.skops_types import TRUSTED

PATH = Path(os.environ["MODEL"])
METADATA = PATH.with_name("metadata.json")
FEATURES = json.loads(METADATA.read_text())["features"] if METADATA.exists() else []
CATEGORIES = {
    feature["name"]: pd.CategoricalDtype(feature["categories"])
    for feature in FEATURES
    if feature["type"] == "category"
}


def load() -> Any:
    if PATH.suffix == ".ubj":
        model = xgboost.XGBClassifier(n_jobs=1)
        model.load_model(PATH)
        return model
    return skops.io.load(PATH, trusted=TRUSTED) if PATH.suffix == ".skops" else joblib.load(PATH)


MODEL = load()


def table(instances: list[Any]) -> Any:
    if not FEATURES:
        return np.array(instances, dtype=float)
    frame = pd.DataFrame(instances)
    return frame.astype(CATEGORIES) if PATH.suffix == ".ubj" else frame


async def app(scope: Any, receive: Callable[[], Awaitable[Any]], send: Any) -> None:
    """Answers POST with predictions of V1 instances."""
    if scope["type"] != "http":
        return
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    predictions = MODEL.predict_proba(table(orjson.loads(body)["instances"])).tolist()
    content = orjson.dumps({"predictions": predictions})
    length = str(len(content)).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", length)]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": content})

"""The comparison: a model behind a bare ASGI application, unrecorded, unbatched, unchecked.

Started by granian with BARE_MODEL=path (skops or ubj) and BARE_FRAME=1 where the model was fitted
on a data frame.
"""

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import orjson
import pandas as pd


def _predict() -> Callable[[list[Any]], list[Any]]:
    path = os.environ["BARE_MODEL"]
    framed = os.environ.get("BARE_FRAME") == "1"
    if path.endswith(".ubj"):
        import xgboost

        booster = xgboost.XGBClassifier()
        booster.load_model(path)
        booster.set_params(n_jobs=1)
        categories = orjson.loads(os.environ["BARE_CATEGORIES"])

        def by_booster(instances: list[Any]) -> list[Any]:
            frame = pd.DataFrame(instances)
            for name, known in categories.items():
                frame[name] = pd.Categorical(frame[name], categories=known)
            return booster.predict_proba(frame).astype(float).tolist()

        return by_booster
    import skops.io

    model = skops.io.load(path, trusted=skops.io.get_untrusted_types(file=path))

    def by_estimator(instances: list[Any]) -> list[Any]:
        data = pd.DataFrame(instances) if framed else np.array(instances, dtype=float)
        return model.predict_proba(data).tolist()

    return by_estimator


predict = _predict()


async def application(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        return
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    answer = orjson.dumps({"predictions": predict(orjson.loads(body)["instances"])})
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(answer)).encode()),
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": answer})

"""The way of an example through a revision: transformer, model, transformer; for its checks."""

from itertools import zip_longest
from typing import Any

from apps.deployments import explainers, model_client, signatures, transformers
from apps.deployments.models import Replica


def pairs(models: list[Replica], before: list[Replica]) -> list[tuple[Replica, Replica | None]]:
    """Each model server and each transformer server at least once."""
    if not before:
        return [(model, None) for model in models]
    return [
        (model or models[0], transformer or before[0])
        for model, transformer in zip_longest(models, before)
    ]


def predict(
    model: Replica, transformer: Replica | None, signature: dict[str, Any], instances: list[Any]
) -> list[Any]:
    """What a caller would get for `instances`. Raises ValueError with the reason, Unreachable."""
    steps = transformer.component.signature.get("steps", []) if transformer else []
    if transformer and "preprocess" in steps:
        instances = transformers.transformed(transformer.address, "preprocess", instances)
    if signature.get("server") == signatures.OURS:
        outputs = model_client.predict(model.address, instances)
    else:
        outputs = signatures.predict(model.address, signature, instances)
    if transformer and "postprocess" in steps:
        if len(outputs) != len(instances):
            raise ValueError(f"the model gave {len(outputs)} outputs for {len(instances)}.")
        outputs = transformers.transformed(transformer.address, "postprocess", outputs)
    return outputs


def explain(explainer: Replica, transformer: Replica | None, instances: list[Any]) -> None:
    """Has `instances` explained by every method. Raises ValueError with the reason, Unreachable."""
    steps = transformer.component.signature.get("steps", []) if transformer else []
    if transformer and "preprocess" in steps:
        instances = transformers.transformed(transformer.address, "preprocess", instances)
    explainers.explained(explainer, instances[:1])

"""What stands between the caller and the model: a transformer's steps, before and after it."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import orjson

from apps.deployments.routes import Route, TransformerRoute
from apps.deployments.transformers import path_of, rows_in
from apps.deployments.wire import STEPS, plain
from apps.predictions.gateway import bodies
from apps.predictions.gateway.binary import recorded
from apps.predictions.gateway.client import Refused, ReplicaClient, TimedOut
from apps.predictions.gateway.errors import GatewayError, unavailable

Model = Callable[[list[Any]], Awaitable[list[Any]]]


@dataclass(slots=True)
class Between:
    """What the model was given and what it gave, where a transformer changed either, and how long
    the steps took in microseconds."""

    inputs: list[Any] | None = None
    outputs: list[Any] | None = None
    took_us: dict[str, int] = field(default_factory=dict)

    def decided(self, position: int, output: Any) -> Any:
        """What the outcome is read from: the model's own output where a step made an object of it,
        so that classes are counted under one name with and without a transformer."""
        if self.outputs is not None and isinstance(output, dict):
            return self.outputs[position]
        return output

    def texts(self, position: int, given: str, output: str, largest: int) -> dict[str, str]:
        """What the record of one instance says beside its `given` input and its `output`; for
        `largest` see `binary.recorded`."""
        texts = {}
        if self.inputs is not None:
            texts["modelInput"] = recorded(self.inputs[position], largest)
        if self.outputs is not None:
            texts["modelOutput"] = recorded(self.outputs[position], largest)
        outer = {"modelInput": given, "modelOutput": output}
        return {key: text for key, text in texts.items() if text != outer[key]}


@dataclass(slots=True)
class Steps:
    """Runs the steps of a route's transformer around its model."""

    client: ReplicaClient
    timeout_seconds: float
    max_rows: int

    async def around(
        self, model: Model, route: Route, instances: list[Any], between: Between
    ) -> list[Any]:
        """The predictions for `instances`; what passed in between is noted. Raises GatewayError."""
        transformer = route.transformer
        assert transformer is not None
        if not transformer.targets:
            raise unavailable("No server of this deployment's transformer is ready.")
        given = instances
        if "preprocess" in transformer.steps:
            given = await self._step(transformer, "preprocess", instances, between)
            between.inputs = given
            if transformer.schema is not None:
                bodies.check(transformer.schema, given, max_rows=self.max_rows)
        outputs = await model(given)
        if "postprocess" not in transformer.steps:
            return outputs
        between.outputs = outputs
        return await self._step(transformer, "postprocess", outputs, between)

    async def _step(
        self, transformer: TransformerRoute, step: str, values: list[Any], between: Between
    ) -> list[Any]:
        sent = time.perf_counter()
        body = orjson.dumps({STEPS[step]: values}, default=plain)
        try:
            reply = await self.client.post(
                transformer.targets, path_of(step), body, timeout_seconds=self.timeout_seconds
            )
        except Refused:
            raise unavailable("The transformer went away; it is being restarted.") from None
        except TimedOut:
            limit = f"{self.timeout_seconds:g} seconds"
            text = f"The transformer's {step} did not answer within {limit}."
            raise GatewayError(504, text) from None
        finally:
            between.took_us[step] = round((time.perf_counter() - sent) * 1_000_000)
        return _rows(reply.status, reply.body, step, len(values))


def _rows(status: int, answer: bytes, step: str, count: int) -> list[Any]:
    try:
        content = orjson.loads(answer)
    except orjson.JSONDecodeError:
        text = f"The transformer's {step} answered with something that is not JSON."
        raise GatewayError(502, text) from None
    if status == 503:
        raise unavailable("The transformer is loading.")
    if status != 200:
        said = content.get("error") if isinstance(content, dict) else None
        text = f"The transformer's {step} answered with status {status}."
        raise GatewayError(502, str(said or text))
    try:
        return rows_in(content, step, count)
    except ValueError as error:
        raise GatewayError(502, str(error)) from None

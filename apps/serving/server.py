"""The model server: health, metadata and inference of one model."""

import asyncio
import resource
import sys
import time
from functools import partial
from typing import Any

import orjson

from apps.serving import protocol
from apps.serving.batching import Batcher
from apps.serving.errors import BadRequest, LoadError, ModelFailure, ServingError
from apps.serving.http import Answer, Connection, Request, Response
from apps.serving.loaders import load
from apps.serving.loaders.base import LoadedModel, first_line
from apps.serving.schema import compile_schema
from apps.serving.spec import ServerSpec
from apps.serving.tensors import plain

_TOO_LITTLE_MEMORY = (
    "The model needs more memory than its model server was given; give it more in the settings"
)


class ModelServer:
    """Listens at once, loads in a thread, and is ready when the example input gave an output."""

    def __init__(self, spec: ServerSpec) -> None:
        self.spec = spec
        self.schema = compile_schema(spec.metadata)
        self.state = "loading"
        self.message = "The model is loading"
        self.model: LoadedModel | None = None
        self.signature: dict[str, list[dict[str, Any]]] = {"inputs": [], "outputs": []}
        self.batcher: Batcher[Response] | None = None
        self.connections: set[Connection] = set()
        self.started = time.monotonic()
        name = spec.name
        self._gets = {
            "/v2": self._server_metadata,
            "/v2/health/live": lambda: _json(200, {"live": True}),
            "/v2/health/ready": self._ready,
            f"/v2/models/{name}": self._model_metadata,
            f"/v2/models/{name}/ready": self._ready,
            f"/v1/models/{name}": self._ready_v1,
            "/metrics.json": self._metrics,
        }
        self._predict_v1 = f"/v1/models/{name}:predict"
        self._predict_v2 = f"/v2/models/{name}/infer"

    def connection(self) -> Connection:
        """A protocol for one client."""
        return Connection(self.handle, self.spec.limits.max_body_bytes, self.connections)

    async def load(self) -> None:
        """Loads and checks the model. Raises LoadError; the readiness address then says why."""
        try:
            model = await asyncio.to_thread(self._load_and_check)
        except ServingError as error:
            self.state, self.message = "failed", error.message
            raise
        self.model = model
        self.batcher = Batcher(model.predict, self.spec.limits.batch_max_rows)
        self.state, self.message = "ready", ""

    def _load_and_check(self) -> LoadedModel:
        model = loaded(self.spec)
        signature = model.signature()
        example = self.spec.metadata.get("exampleInput")
        if example:
            try:
                outputs = check_example(model, self.schema, example, self.spec)
            except LoadError as error:
                raise LoadError(error.message + model.advice) from error
            signature["outputs"] = protocol.observed(signature["outputs"], outputs)
        self.signature = signature
        return model

    def handle(self, request: Request) -> Answer:
        """The answer to one request, or the promise of it. Raises ServingError."""
        if request.method == "POST" and request.path in (self._predict_v1, self._predict_v2):
            return self._predict(request)
        found = self._gets.get(request.path)
        if found is None:
            return _error(404, f"There is no {request.path} here")
        if request.method != "GET":
            return _error(405, f"{request.path} takes GET")
        return found()

    def _predict(self, request: Request) -> Answer:
        if self.batcher is None:
            return _error(503, self.message)
        document, instances = self._read(request)
        if request.path == self._predict_v1:
            return self.batcher.submit(instances, _v1)
        wanted = protocol.wanted_of(document)
        wanted.check([output["name"] for output in self.signature["outputs"]])
        head = {"model_name": self.spec.name}
        if (given := protocol.id_of(document)) is not None:
            head["id"] = given
        return self.batcher.submit(instances, partial(self._v2, wanted=wanted, head=head))

    def _v2(
        self, predictions: list[Any], *, wanted: protocol.Wanted, head: dict[str, Any]
    ) -> Response:
        outputs = protocol.output_tensors(predictions, self.signature["outputs"])
        return Response(200, *protocol.v2_body(head, "outputs", outputs, wanted))

    @property
    def in_flight(self) -> int:
        return self.batcher.in_flight if self.batcher else 0

    def _read(self, request: Request) -> tuple[Any, list[Any]]:
        """The JSON of the body and the instances in it."""
        text, raw = protocol.split_body(request.body, request.header_length)
        try:
            document = orjson.loads(text)
        except orjson.JSONDecodeError as error:
            raise BadRequest(f"The body is not JSON: {error}") from None
        inputs = self.signature["inputs"]
        instances = protocol.with_tensors(protocol.instances_of(document, raw, inputs), text)
        violations = self.schema.check(instances, max_rows=self.spec.limits.max_rows)
        if violations:
            raise BadRequest("; ".join(violation.message for violation in violations[:5]))
        return document, instances

    def _server_metadata(self) -> Response:
        content = {"name": "deeploy", "version": "1", "extensions": protocol.EXTENSIONS}
        return _json(200, content)

    def _model_metadata(self) -> Response:
        if self.state != "ready":
            return _error(503, self.message)
        content = {"name": self.spec.name, "platform": self.spec.framework, "versions": ["1"]}
        return _json(200, content | self.signature)

    def _ready(self) -> Response:
        status = 200 if self.state == "ready" else 503
        message = self.message
        if self.state == "loading":
            message = f"The model has been loading for {self.uptime_seconds:.0f} s"
        return _json(status, {"state": self.state, "message": message})

    @property
    def uptime_seconds(self) -> float:
        return time.monotonic() - self.started

    def _ready_v1(self) -> Response:
        status = 200 if self.state == "ready" else 503
        return _json(status, {"name": self.spec.name, "ready": self.state == "ready"})

    def _metrics(self) -> Response:
        usage = resource.getrusage(resource.RUSAGE_SELF)
        scale = 1 if sys.platform == "darwin" else 1024
        content: dict[str, Any] = {
            "inFlight": self.in_flight,
            "queued": self.batcher.queued if self.batcher else 0,
            "uptimeSeconds": self.uptime_seconds,
            "cpuSeconds": usage.ru_utime + usage.ru_stime,
            "peakMemoryBytes": usage.ru_maxrss * scale,
        }
        if self.batcher:
            counters = self.batcher.counters
            content |= {
                "batches": counters.batches,
                "rows": counters.rows,
                "errors": counters.errors,
                "modelSeconds": counters.model_seconds,
            }
        return _json(200, content)


def loaded(spec: ServerSpec) -> LoadedModel:
    """The model; whatever the artifact's own code does wrong becomes a LoadError."""
    try:
        return load(spec)
    except ServingError:
        raise
    except MemoryError:
        raise LoadError(_TOO_LITTLE_MEMORY) from None
    except SystemExit as error:
        raise LoadError(f"The file ends the process while it is loaded (exit {error})") from None
    except Exception as error:
        why = f"{type(error).__name__}: {first_line(error)}"
        raise LoadError(f"The model cannot be loaded: {why}") from error


def check_example(model: LoadedModel, schema: Any, example: Any, spec: ServerSpec) -> list[Any]:
    """The outputs for the example input; raises LoadError where it or they are not valid."""
    try:
        instances = protocol.instances_of(example)
    except BadRequest as error:
        raise LoadError(f"The example input cannot be read: {error.message}") from None
    violations = schema.check(instances, max_rows=spec.limits.max_rows)
    if violations:
        raise LoadError(f"The example input does not fit the features: {violations[0].message}")
    try:
        outputs = model.predict(instances)
    except MemoryError:
        raise LoadError(_TOO_LITTLE_MEMORY) from None
    except (ModelFailure, BadRequest) as error:
        raise LoadError(f"The model refused the example input: {error.message}") from error
    except Exception as error:
        raise LoadError(
            f"The model failed on the example input: {type(error).__name__}: {first_line(error)}"
        ) from error
    if len(outputs) != len(instances):
        text = f"The model gave {len(outputs)} outputs for {len(instances)} example instances"
        raise LoadError(text)
    _check_classes(outputs, spec.metadata)
    return outputs


def _check_classes(outputs: list[Any], metadata: dict[str, Any]) -> None:
    classes = metadata.get("predictionClasses") or {}
    if not classes:
        return
    first = outputs[0]
    if isinstance(first, list) and len(first) != len(classes):
        raise LoadError(
            f"The model gives {len(first)} class probabilities, the metadata names "
            f"{len(classes)} prediction classes"
        )
    known = {str(value) for value in classes} | {str(value) for value in classes.values()}
    if metadata.get("problemType") == "classification" and str(first) not in known:
        raise LoadError(
            f"The model answers {first} to the example input, which is none of the prediction "
            f"classes {', '.join(sorted(known))}"
        )


def _v1(predictions: list[Any]) -> Response:
    return Response(200, orjson.dumps({"predictions": predictions}, default=plain))


def _json(status: int, content: Any) -> Response:
    return Response(status, orjson.dumps(content))


def _error(status: int, message: str) -> Response:
    return _json(status, {"error": message})

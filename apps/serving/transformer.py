"""A Python module that changes instances before the model and predictions after it.

The module is one `.py` file, or a zip with `transformer.py` and what it imports. It defines
`preprocess(instances) -> instances`, `postprocess(predictions) -> predictions`, or both; each gets
the list of one request and gives back a list, and may be a coroutine function. A plain function
runs in a thread, several at a time.
"""

import asyncio
import inspect
import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import orjson

from apps.serving.errors import BadRequest, LoadError, ModelFailure
from apps.serving.http import Answer, Request, Response
from apps.serving.loaders.base import first_line
from apps.serving.modules import imported
from apps.serving.server import ModelServer
from apps.serving.spec import ServerSpec

FRAMEWORK = "transformer"
STEPS = {"preprocess": "instances", "postprocess": "predictions"}
_THREADS = 8
_HUNG_SECONDS = 120
_HUNG = 5
_PACKAGES = "name it in the transformer's requirements"
_AS_JSON = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS

Step = Callable[[list[Any]], Any]


def load_steps(spec: ServerSpec) -> dict[str, Step]:
    """The module's functions by their names. Raises LoadError, which says what is wrong."""
    module = imported(spec.artifact, "transformer", _PACKAGES)
    found = {name: getattr(module, name, None) for name in STEPS}
    steps = {name: step for name, step in found.items() if callable(step)}
    if not steps:
        raise LoadError(
            "The transformer defines neither preprocess(instances) nor postprocess(predictions)"
        )
    return steps


class TransformerServer(ModelServer):
    """Answers `:preprocess` and `:postprocess` of one transformer, and says whether it is well."""

    def __init__(self, spec: ServerSpec) -> None:
        super().__init__(spec)
        self.message = "The transformer is loading"
        self.steps: dict[str, Step] = {}
        self._in_flight = 0
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="transformer")
        self._posts = {f"/v1/models/{spec.name}:{step}": step for step in STEPS}
        self._gets[f"/v1/models/{spec.name}"] = self._described

    async def load(self) -> None:
        """Imports the module. Raises LoadError; the readiness address then says why."""
        try:
            self.steps = await asyncio.to_thread(load_steps, self.spec)
        except LoadError as error:
            self.state, self.message = "failed", error.message
            raise
        self.state, self.message = "ready", ""

    def handle(self, request: Request) -> Answer:
        """The answer to one request, or the promise of it."""
        step = self._posts.get(request.path)
        if step is None or request.method != "POST":
            return super().handle(request)
        if self.state != "ready":
            return _refusal(503, self.message)
        if step not in self.steps:
            return _refusal(404, f"This transformer has no {step}")
        return asyncio.ensure_future(self._run(step, request.body))

    @property
    def in_flight(self) -> int:
        return self._in_flight

    async def _run(self, name: str, body: bytes) -> Response:
        self._in_flight += 1
        try:
            given = _list_in(body, STEPS[name])
            result = await asyncio.wait_for(self._called(name, given), _HUNG_SECONDS)
            return _rendered(name, result)
        except TimeoutError:
            _end_hung(name)
            raise
        finally:
            self._in_flight -= 1

    async def _called(self, name: str, given: list[Any]) -> Any:
        step = self.steps[name]
        try:
            if inspect.iscoroutinefunction(step):
                return await step(given)
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._threads, step, given)
        except Exception as error:
            text = f"The transformer's {name} failed: {type(error).__name__}: {first_line(error)}"
            raise ModelFailure(text) from error

    def _described(self) -> Response:
        content = {"name": self.spec.name, "ready": self.state == "ready", "steps": [*self.steps]}
        return Response(200 if self.state == "ready" else 503, orjson.dumps(content))


def _list_in(body: bytes, key: str) -> list[Any]:
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"The body is not JSON: {error}") from None
    found = content.get(key) if isinstance(content, dict) else None
    if not isinstance(found, list):
        raise BadRequest(f'The body must be a JSON object with a list "{key}"')
    return found


def _rendered(name: str, result: Any) -> Response:
    key = STEPS[name]
    if isinstance(result, tuple) or hasattr(result, "tolist"):
        result = list(result)
    if not isinstance(result, list):
        kind = type(result).__name__
        raise ModelFailure(f"The transformer's {name} gave {kind}; it must give a list of {key}")
    try:
        return Response(200, orjson.dumps({key: result}, option=_AS_JSON))
    except (TypeError, ValueError) as error:
        text = f"What the transformer's {name} gave cannot be written as JSON: {error}"
        raise ModelFailure(text) from None


def _end_hung(name: str) -> None:
    """A thread cannot be ended, a process can: the controller starts another in its place."""
    sys.stderr.write(f"The transformer's {name} did not return within {_HUNG_SECONDS} seconds\n")
    sys.stderr.flush()
    os._exit(_HUNG)


def _refusal(status: int, message: str) -> Response:
    return Response(status, orjson.dumps({"error": message}))

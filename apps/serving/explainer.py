"""The explainer's server: health while it works, one explanation after the other in a thread.

It loads the same artifact as the model, so what it explains is the model that is served. Methods
hold the interpreter's lock or keep state between calls, so that a process does one job at a time;
more replicas do more.
"""

import asyncio
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import orjson

from apps.serving.errors import BadRequest, LoadError, ServingError
from apps.serving.explaining import Explanations, Job
from apps.serving.http import Answer, Request, Response
from apps.serving.loaders.base import LoadedModel
from apps.serving.protocol import instances_of
from apps.serving.server import ModelServer, loaded
from apps.serving.spec import ServerSpec
from apps.serving.summaries import summarised

_SECONDS, _LONGEST_SECONDS = 20.0, 3600.0
_GRACE_SECONDS = 0.5
_HUNG_SECONDS = 60
_HUNG = 5
_AS_JSON = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS

Act = Callable[[Any, Job], dict[str, Any]]


class ExplainerServer(ModelServer):
    """Ready when each method has explained the example input."""

    def __init__(self, spec: ServerSpec) -> None:
        super().__init__(spec)
        self.message = "The explainer is loading"
        self.explanations: Explanations | None = None
        self._jobs = 0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="explainer")
        path = f"/v1/models/{spec.name}"
        self._acts: dict[str, Act] = {f"{path}:explain": self._explain}
        self._acts[f"{path}:summarise"] = self._summarise
        self._gets[path] = self._described

    async def load(self) -> None:
        """Loads, fits and tries. Raises LoadError; the readiness address then says why."""
        loop = asyncio.get_running_loop()
        try:
            self.explanations = await loop.run_in_executor(self._thread, self._prepared)
        except ServingError as error:
            self.state, self.message = "failed", error.message
            raise
        self.state, self.message = "ready", ""

    def _prepared(self) -> Explanations:
        model: LoadedModel = loaded(self.spec)
        explanations = Explanations(model, self.spec)
        explanations.check()
        return explanations

    def handle(self, request: Request) -> Answer:
        """The answer to one request, or the promise of it."""
        act = self._acts.get(request.path)
        if act is None:
            if request.method == "POST":
                return _refusal(404, f"There is no {request.path} here")
            return super().handle(request)
        if request.method != "POST":
            return _refusal(405, f"{request.path} takes POST")
        if self.explanations is None:
            return _refusal(503, self.message)
        asked = _object_in(request.body)
        return asyncio.ensure_future(self._done(act, asked, Job(_seconds(asked))))

    @property
    def in_flight(self) -> int:
        return self._jobs

    async def _done(self, act: Act, asked: dict[str, Any], job: Job) -> Response:
        """Waits for its turn and its end, no longer than the request allows."""
        loop = asyncio.get_running_loop()
        self._jobs += 1
        seconds = job.seconds
        working = loop.run_in_executor(self._thread, _run, act, asked, job)
        try:
            return await asyncio.wait_for(asyncio.shield(working), seconds + _GRACE_SECONDS)
        except (TimeoutError, asyncio.CancelledError) as reason:
            exceeded = job.exceeded()
            job.stop()
            working.add_done_callback(_forget)
            working.cancel()
            loop.call_later(_HUNG_SECONDS, _end_if_hung, job)
            if isinstance(reason, TimeoutError):
                raise exceeded from None
            raise
        finally:
            self._jobs -= 1

    def _explain(self, asked: dict[str, Any], job: Job) -> dict[str, Any]:
        explanations = self.explanations
        assert explanations is not None
        instances = instances_of(asked)
        most = self.spec.limits.max_rows
        if len(instances) > most:
            raise BadRequest(f"At most {most:,} instances are explained at once")
        names = explanations.names(asked.get("explainers"))
        job.served = _served(asked.get("outputs"), len(instances))
        return {"explanations": explanations.explained(instances, names, job)}

    def _summarise(self, asked: dict[str, Any], job: Job) -> dict[str, Any]:
        assert self.explanations is not None
        try:
            return {"summary": summarised(self.explanations, asked, job)}
        except LoadError as error:
            # Settings that a method refuses come from the request here, not from the start.
            raise BadRequest(error.message) from None

    def _described(self) -> Response:
        """Which methods there are, what each took for the example, and against what it measures."""
        if self.explanations is None:
            return _refusal(503, self.message)
        sample = self.explanations.sample
        content = {
            "name": self.spec.name,
            "ready": True,
            "explainers": [each.described for each in self.explanations.fitted.values()],
            "background": {
                "id": sample.background.id,
                "rows": len(sample.background.frame),
                "of": sample.of,
            }
            if sample
            else None,
        }
        return Response(200, orjson.dumps(content))


def _run(act: Act, asked: dict[str, Any], job: Job) -> Response:
    """One job, in the thread."""
    job.began = time.monotonic()
    try:
        return Response(200, orjson.dumps(act(asked, job), option=_AS_JSON))
    finally:
        job.ended = True


def _object_in(body: bytes) -> dict[str, Any]:
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"The body is not JSON: {error}") from None
    if not isinstance(content, dict):
        raise BadRequest("The body must be a JSON object")
    return content


def _served(given: Any, count: int) -> list[Any] | None:
    """What the model's server answered, one for each instance. Raises BadRequest."""
    if given is not None and (not isinstance(given, list) or len(given) != count):
        raise BadRequest('"outputs" must be a list with what the model answered for each instance')
    return given


def _seconds(asked: dict[str, Any]) -> float:
    given = asked.get("seconds")
    given = _SECONDS if given is None else given
    if isinstance(given, bool) or not isinstance(given, int | float):
        raise BadRequest('"seconds" must be a number')
    if not 0 < given <= _LONGEST_SECONDS:
        raise BadRequest(f'"seconds" must be above 0 and at most {_LONGEST_SECONDS:,.0f}')
    return float(given)


def _forget(working: asyncio.Future[Response]) -> None:
    """Takes the error of a job that nobody waits for any more."""
    if not working.cancelled():
        working.exception()


def _end_if_hung(job: Job) -> None:
    """A thread cannot be ended, a process can: the controller starts another in its place."""
    if job.began is None or job.ended:
        return
    sys.stderr.write(f"A method did not stop within {_HUNG_SECONDS} seconds of its time's end\n")
    sys.stderr.flush()
    os._exit(_HUNG)


def _refusal(status: int, message: str) -> Response:
    return Response(status, orjson.dumps({"error": message}))

"""Reads requests into instances and writes answers, for the three path families."""

from dataclasses import dataclass
from typing import Any

import orjson

from apps.deployments.routes import Route
from apps.deployments.wire import (
    BadRequest,
    Schema,
    Tensor,
    Wanted,
    id_of,
    instances_of,
    json_of,
    output_tensors,
    plain,
    split_body,
    v2_body,
    wanted_of,
    with_tensors,
)
from apps.predictions.gateway.binary import summary
from apps.predictions.gateway.errors import GatewayError
from apps.predictions.gateway.strictness import refuse_doubled_keys

_LONGEST_CUSTOM_ID = 200
_MOST_ERRORS = 20
_NUMBERS = {float, int}


@dataclass(slots=True)
class Parsed:
    """A request's instances, its callers' ids for them, what else the body held, and which
    answer it asks for: `id` is the caller's own of a V2 request."""

    instances: list[Any]
    custom_ids: list[str | None]
    envelope: str | None
    is_v2: bool
    wanted: Wanted
    id: str | None


@dataclass(slots=True)
class Answer:
    """A body; `header_length` is the length of its JSON where raw bytes follow."""

    body: bytes
    header_length: int | None = None
    is_picture: bool = False

    @property
    def content_type(self) -> bytes:
        if self.is_picture:
            return b"image/png"
        return b"application/json" if self.header_length is None else b"application/octet-stream"


def parse(body: bytes, route: Route, *, max_rows: int, header_length: bytes | None) -> Parsed:
    """Raises GatewayError 400 with instance and feature of every fault."""
    try:
        return _parsed(body, route, max_rows, header_length)
    except BadRequest as error:
        raise GatewayError(400, error.message) from None


def _parsed(body: bytes, route: Route, max_rows: int, header_length: bytes | None) -> Parsed:
    body, raw = split_body(body, header_length)
    if not body.strip():
        raise GatewayError(400, 'The body is empty; send JSON with "instances" or "inputs".')
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise GatewayError(400, _json_fault(body, error)) from None
    refuse_doubled_keys(body, document)
    instances = with_tensors(instances_of(document, raw), body)
    wanted = wanted_of(document)
    if wanted.names and route.outputs:
        wanted.check([output["name"] for output in route.outputs])
    custom_ids = _custom_ids(document, instances, route.metadata.get("customId"))
    check(route.schema, instances, max_rows=max_rows)
    envelope = None
    if isinstance(document, dict):
        rest = {k: v for k, v in document.items() if k not in ("instances", "inputs")}
        envelope = orjson.dumps(rest).decode() if rest else None
    is_v2 = isinstance(document, dict) and "inputs" in document
    return Parsed(instances, custom_ids, envelope, is_v2, wanted, id_of(document))


def check(schema: Schema, instances: list[Any], *, max_rows: int) -> None:
    """Raises GatewayError 400 with instance and feature of every violation of the schema."""
    violations = schema.check(instances, max_rows=max_rows)
    if violations:
        errors = [
            {"instance": v.instance, "feature": v.feature, "message": v.message}
            for v in violations[:_MOST_ERRORS]
        ]
        more = len(violations) - 1
        text = f"{violations[0].message}" + (f" (and {more} more faults)" if more else "")
        where = f"Instance {violations[0].instance}: " if violations[0].feature else ""
        raise GatewayError(400, where + text, errors=errors)


def _json_fault(body: bytes, error: orjson.JSONDecodeError) -> str:
    text = str(error)
    if "UTF-8" in text:
        return "The body is not UTF-8; JSON is always UTF-8."
    if "surrogate" in text:
        return f"The body holds half of a surrogate pair, which is no character: {text}."
    if "infinity" in text:
        return f"The body holds a number too large for double precision: {text}."
    if "depth" in text or "recursion" in text:
        return "The body is nested too deeply; instances are flat objects or lists."
    if any(word in body for word in (b"NaN", b"Infinity")):
        return "The body holds NaN or Infinity, which JSON does not know; send null if missing."
    return f"The body is not JSON: {text}."


def _custom_ids(document: Any, instances: list[Any], name: str | None) -> list[str | None]:
    """The caller's ids: `customIds`, `customId`, or the instances' own field of that name.

    A field that is no feature is taken out of the instances, so that the model does not see it.
    """
    given: list[Any] = [None] * len(instances)
    if isinstance(document, dict):
        if isinstance(document.get("customIds"), list):
            given = document["customIds"]
        elif document.get("customId") is not None:
            given = [document["customId"]] * len(instances)
    if name:
        for position, instance in enumerate(instances):
            if isinstance(instance, dict) and name in instance:
                given[position] = instance.pop(name)
    if len(given) != len(instances):
        text = f"There are {len(given)} customIds for {len(instances)} instances."
        raise GatewayError(400, text)
    return [_custom_id(value) for value in given]


def _custom_id(value: Any) -> str | None:
    if value is None:
        return None
    text = str(value)
    if isinstance(value, dict | list) or len(text) > _LONGEST_CUSTOM_ID or "\x00" in text:
        raise GatewayError(
            400, f"A customId is text or a number of at most {_LONGEST_CUSTOM_ID} characters."
        )
    return text


def outputs_of(protocol: str, parsed: Parsed, predictions: list[Any], route: Route) -> list[Tensor]:
    """The outputs of a V2 answer; none for other answers. Raises GatewayError 502 where the
    predictions form no tensors, 400 where an output is wanted that is not among them."""
    if protocol == "v1" or not (protocol == "v2" or parsed.is_v2):
        return []
    try:
        outputs = output_tensors(predictions, route.outputs)
    except (ValueError, TypeError, KeyError) as error:
        text = f"The model's answer is no tensor: {error}"
        raise GatewayError(502, text) from None
    try:
        parsed.wanted.check([output.name for output in outputs])
    except BadRequest as error:
        raise GatewayError(400, error.message) from None
    return outputs


def answer(
    protocol: str,
    parsed: Parsed,
    predictions: list[Any],
    outputs: list[Tensor],
    request_id: str,
    ids: list[str],
    name: str,
    beside: dict[str, Any],
) -> Answer:
    """The body of a good answer, as the path's family wants it; `beside` has its explanations."""
    if protocol == "v1":
        return _json({"predictions": predictions} | beside)
    marks = {"requestLogId": request_id, "predictionLogIds": ids}
    if protocol == "v2":
        head = {"model_name": name, "id": parsed.id or request_id, "parameters": marks} | beside
        return Answer(*v2_body(head, "outputs", outputs, parsed.wanted))
    if parsed.is_v2:
        tensors = [json_of(output) for output in outputs]
        return _json({"predictions": predictions, "outputs": tensors} | beside | marks)
    return _json({"predictions": predictions} | beside | marks)


def _json(content: dict[str, Any]) -> Answer:
    return Answer(orjson.dumps(content, default=plain))


def refusal(protocol: str, error: GatewayError, request_id: str | None) -> dict[str, Any]:
    """The body of a refusal; KServe's protocols look for `error`."""
    body: dict[str, Any] = {"statusCode": error.status, "message": error.message}
    if error.errors:
        body["errors"] = error.errors
    if protocol in ("v1", "v2"):
        body["error"] = error.message
    if request_id:
        body["requestLogId"] = request_id
    return body


def outcome_of(output: Any, metadata: dict[str, Any]) -> tuple[str, str | None]:
    """The predicted class or value as text, and the probability of that class where given.

    Probabilities name their class by position; predictionClasses gives label by class number.
    """
    labels = metadata.get("predictionClasses") or {}
    names = {str(value): str(label) for label, value in labels.items()}
    if metadata.get("problemType") == "classificationWithProbabilities" and _are_numbers(output):
        best = max(range(len(output)), key=output.__getitem__)
        return names.get(str(best), str(best))[:200], repr(output[best])
    text = output if isinstance(output, str) else summary(output)
    return names.get(text, text)[:200].replace("\x00", "\ufffd"), None


def _are_numbers(output: Any) -> bool:
    return isinstance(output, list) and bool(output) and set(map(type, output)) <= _NUMBERS

"""The explainer's part of a request: what the model was given, explained, in one answer."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

import orjson

from apps.deployments.explainer_image import entries_of
from apps.deployments.explainers import path_of, rows_in
from apps.deployments.routes import Route
from apps.deployments.wire import plain
from apps.predictions.gateway.client import Refused, ReplicaClient, TimedOut
from apps.predictions.gateway.errors import GatewayError, unavailable

NO_EXPLAINER = (
    "This deployment has no explainer. Add one by a new revision: on its page under New revision, "
    'or over the API with "explainers".'
)
_GRACE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Wish:
    """Which methods a request asks for; all of them by default."""

    names: tuple[str, ...]

    @classmethod
    def of(cls, route: Route, query: bytes) -> "Wish":
        """Raises GatewayError: 409 without an explainer, 404 for a name that it has not."""
        if route.explainer is None:
            raise GatewayError(409, NO_EXPLAINER)
        given = parse_qs(query.decode("latin-1"), keep_blank_values=True).get("explainer", [])
        names = [name for each in given for name in each.split(",")]
        known = route.explainer.names
        for name in names:
            if name not in known:
                text = f"There is no explainer {name[:60]} here; there are {', '.join(known)}."
                raise GatewayError(404, text)
        return cls(tuple(dict.fromkeys(names)) or known)


@dataclass(slots=True)
class Explaining:
    """Asks the explainer of a route."""

    client: ReplicaClient
    seconds: float
    max_rows: int

    def check_rows(self, count: int) -> None:
        """Raises GatewayError 400 where a request holds more than are explained at once."""
        if count > self.max_rows:
            text = (
                f"There are {count:,} instances; at most {self.max_rows:,} are explained in one "
                "request. Send fewer, or predict them and explain single ones later."
            )
            raise GatewayError(400, text)

    async def explain(
        self, route: Route, instances: list[Any], outputs: list[Any], wish: Wish
    ) -> list[list[dict[str, Any]]]:
        """For each instance, as the model got it, the answer of each method, which is told what
        the model gave. Raises GatewayError: 503 where the explainer is away, 504 where its time
        is up."""
        explainer = route.explainer
        assert explainer is not None
        if not explainer.targets:
            raise unavailable("The explainer of this deployment is not ready; predictions are.")
        body: dict[str, Any] = {"instances": instances}
        if not explainer.is_image:
            body |= {"explainers": wish.names, "seconds": self.seconds}
            if route.metadata.get("features"):
                body["outputs"] = outputs
        try:
            reply = await self.client.post(
                explainer.targets,
                path_of("explain"),
                orjson.dumps(body, default=plain),
                timeout_seconds=self.seconds + _GRACE_SECONDS,
            )
        except Refused:
            raise unavailable("The explainer went away; it is being restarted.") from None
        except TimedOut:
            raise _exceeded(self.seconds) from None
        content = _content(reply.status, reply.body, self.seconds)
        try:
            if explainer.is_image:
                names = [feature["name"] for feature in route.metadata.get("features") or []]
                return entries_of(content, instances, names)
            return rows_in(content, len(instances))
        except ValueError as error:
            raise GatewayError(502, str(error)) from None


def _content(status: int, body: bytes, seconds: float) -> Any:
    """What the explainer answered. Raises GatewayError where it is no answer."""
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise GatewayError(502, "The explainer's answer is not JSON.") from None
    said = str(content.get("error") or "") if isinstance(content, dict) else ""
    if status == 504:
        raise _exceeded(seconds)
    if status == 503:
        raise unavailable("The explainer is loading; predictions are answered.")
    if status != 200:
        text = said or f"The explainer answered with status {status}."
        raise GatewayError(status if status in (400, 404) else 502, text)
    return content


def _exceeded(seconds: float) -> GatewayError:
    return GatewayError(
        504,
        f"The explanation was not finished within {seconds:g} seconds, so nothing is given. Ask "
        "for fewer instances or a cheaper method, or predict and explain later.",
    )


def answered(explanations: list[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """One object for each instance: the answers of the methods, and beside them `shap_values` in
    feature order where one of them gives such, as other clients expect."""
    return [_with_values(methods) for methods in explanations]


def _with_values(methods: list[dict[str, Any]]) -> dict[str, Any]:
    for each in methods:
        if each["method"].startswith("shap.") and "contributions" in each:
            values = [part["contribution"] for part in each["contributions"]]
            return {"shap_values": values, "explainers": methods}
    return {"explainers": methods}

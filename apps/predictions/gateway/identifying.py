"""Who calls, and which deployment."""

from apps.deployments.routes import Route
from apps.predictions.gateway.call import Call
from apps.predictions.gateway.errors import GatewayError, unavailable
from apps.predictions.gateway.paths import Address
from apps.predictions.gateway.table import Table, allowed


def identify(table: Table, call: Call, headers: dict[bytes, bytes]) -> None:
    """Sets caller and route. Who may not know of a deployment gets the same 404 as for none."""
    if not table.loaded.is_set():
        raise unavailable("The gateway has not read its routes yet.", recorded=False)
    authorization = headers.get(b"authorization", b"").decode("latin-1")
    caller = table.caller(authorization)
    if caller is None:
        text = "Send a token that is alive: Authorization: Bearer DPT…"
        raise GatewayError(401, text, recorded=False)
    found = [r for r in _candidates(table, call.address) if allowed(caller, r)]
    if not found:
        raise GatewayError(404, "There is no such deployment.", recorded=False)
    if len(found) > 1:
        text = (
            f"Several workspaces have a deployment {call.address.deployment}; call "
            "/workspaces/<workspace>/deployments/<deployment>/predict."
        )
        raise GatewayError(409, text, recorded=False)
    call.caller, call.route = caller, found[0]
    if caller.actor.kind == "token" and call.address.endpoint not in caller.scopes:
        raise GatewayError(403, f"This token has not the scope {call.address.endpoint}.")


def _candidates(table: Table, address: Address) -> list[Route]:
    if address.workspace is None:
        return table.by_name.get(address.deployment, [])
    route = table.route(address.workspace, address.deployment)
    return [] if route is None else [route]

"""Routes and credentials in memory, kept fresh by LISTEN with a slow poll as a net."""

import asyncio
import base64
import binascii
import logging
import time
from collections import defaultdict
from datetime import UTC, datetime
from uuid import UUID

import psycopg
from django.db import close_old_connections, connection

from apps.accounts.callers import Caller, Callers, load_callers
from apps.accounts.credentials import USER_CALL_PREFIX, hash_secret, read_user_call
from apps.deployments.routes import Route, load_routes
from apps.predictions.gateway.client import ReplicaClient

log = logging.getLogger(__name__)

_POLL_SECONDS = 10.0
_RECONNECT_SECONDS = 0.5


class Table:
    """What the gateway knows; replaced whole at every refresh, so that readers see one state."""

    def __init__(self, database_url: str, client: ReplicaClient) -> None:
        self.database_url = database_url
        self.client = client
        self.loaded = asyncio.Event()
        self.callers = Callers({}, {}, {})
        self.by_path: dict[tuple[str, str], Route] = {}
        self.by_name: dict[str, list[Route]] = {}
        self.used: dict[tuple[str, str], float] = {}
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._task = asyncio.create_task(self._follow())

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def route(self, workspace: str, deployment: str) -> Route | None:
        """The route of a deployment, each named by id or slug."""
        return self.by_path.get((workspace, deployment))

    def caller(self, authorization: str) -> Caller | None:
        """Who presents this Authorization header; None where nobody we know, or no longer."""
        scheme, _, value = authorization.partition(" ")
        caller = None
        if scheme.lower() == "bearer":
            caller = self._bearer(value.strip())
        elif scheme.lower() == "basic":
            caller = self._basic(value.strip())
        if caller is None or (caller.expires_at and caller.expires_at <= datetime.now(UTC)):
            return None
        if caller.actor.kind != "user":
            self.used[caller.actor.kind, caller.actor.id] = time.time()
        return caller

    def _bearer(self, text: str) -> Caller | None:
        if not text.startswith(USER_CALL_PREFIX):
            return self.callers.tokens.get(hash_secret(text))
        read = read_user_call(text)
        person = self.callers.people.get(read[0]) if read else None
        if read is None or person is None:
            return None
        return Caller(actor=person.actor, deployment_id=read[1], workspaces=person.workspaces)

    def _basic(self, text: str) -> Caller | None:
        try:
            decoded = base64.b64decode(text, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            return None
        access_key, _, secret = decoded.partition(":")
        return self.callers.key_pairs.get((access_key, hash_secret(secret)))

    async def refresh(self) -> None:
        """Reads both tables again, off the event loop."""
        routes, callers = await asyncio.to_thread(_read)
        by_path: dict[tuple[str, str], Route] = {}
        by_name: dict[str, list[Route]] = defaultdict(list)
        for route in routes:
            for workspace in (str(route.workspace_id), route.workspace_slug):
                for deployment in (str(route.deployment_id), route.slug):
                    by_path[workspace, deployment] = route
            by_name[route.slug].append(route)
        self.by_path, self.by_name, self.callers = by_path, dict(by_name), callers
        self.client.forget({target for route in routes for target in route.all_targets})
        self.loaded.set()

    async def _follow(self) -> None:
        while True:
            try:
                await self._listen()
            except (psycopg.Error, OSError) as error:
                log.warning("Routes cannot be followed: %s", str(error).splitlines()[:1])
            except Exception:
                log.exception("Routes cannot be read")
            await asyncio.sleep(_RECONNECT_SECONDS)

    async def _listen(self) -> None:
        async with await psycopg.AsyncConnection.connect(
            self.database_url, autocommit=True, connect_timeout=3
        ) as listening:
            await listening.execute("LISTEN deeploy_routes")
            await listening.execute("LISTEN deeploy_credentials")
            while True:
                await self.refresh()
                async for _ in listening.notifies(timeout=_POLL_SECONDS, stop_after=1):
                    pass
                if listening.broken or listening.closed:
                    return
                await self._note_use()

    async def _note_use(self) -> None:
        used, self.used = self.used, {}
        if used:
            await asyncio.to_thread(_write_use, used)


def allowed(caller: Caller, route: Route) -> bool:
    """True where the caller may know of the deployment at all."""
    if caller.deployment_id is not None and caller.deployment_id != route.deployment_id:
        return False
    if caller.actor.kind == "token":
        return True
    return caller.workspaces is None or route.workspace_id in caller.workspaces


def _read() -> tuple[list[Route], Callers]:
    close_old_connections()
    try:
        return load_routes(), load_callers()
    finally:
        connection.close()


def _write_use(used: dict[tuple[str, str], float]) -> None:
    tables = {"token": "accounts_deploymenttoken", "key_pair": "accounts_keypair"}
    try:
        with connection.cursor() as cursor:
            for (kind, identifier), when in used.items():
                cursor.execute(
                    f"UPDATE {tables[kind]} SET last_used_at = to_timestamp(%s) "  # noqa: S608
                    "WHERE id = %s AND (last_used_at IS NULL OR last_used_at < "
                    "to_timestamp(%s) - interval '1 minute')",
                    [when, UUID(identifier), when],
                )
    finally:
        connection.close()

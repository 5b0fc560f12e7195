"""The guard for aiohttp: every address that a session connects to is judged as it is resolved."""

import asyncio
import socket
from ipaddress import ip_address

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from apps.core import outbound

# Servers close idle connections after five seconds at the earliest: what we keep open less long
# is not closed under a request of ours.
_KEEP_ALIVE_SECONDS = 4
_NAMES_SECONDS = 10


class GuardedResolver(AbstractResolver):
    """Names lead to allowed addresses only, and connections go to these."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Raises OutboundRefused, or Unreachable where the name is unknown."""
        found = await asyncio.to_thread(outbound.resolve, host, port)
        return [
            ResolveResult(
                hostname=host,
                host=ip,
                port=port,
                family=kind,
                proto=0,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for kind, ip in found
        ]

    async def close(self) -> None:
        """There is nothing to close."""


def guarded_session() -> aiohttp.ClientSession:
    """A session that connects to allowed addresses only, keeps no cookies and uses no proxy of
    the environment. Check each address with `judge` first: numbers are not resolved."""
    connector = aiohttp.TCPConnector(
        resolver=GuardedResolver(),
        ssl=outbound.tls(),
        limit=0,
        ttl_dns_cache=_NAMES_SECONDS,
        keepalive_timeout=_KEEP_ALIVE_SECONDS,
    )
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None),
        trust_env=False,
    )


def judge(url: str) -> URL:
    """The address as aiohttp takes it. Raises OutboundRefused where it is not one that may be
    called; a name is judged when it is resolved."""
    parts = outbound.parts_of(url)
    target = URL(url)
    host = target.host or ""
    try:
        ip_address(host)
    except ValueError:
        return target
    outbound.resolve(host, outbound.port_of(parts))
    return target

"""Calls to places outside: never to an address within, unless an administrator allowed it.

A name is resolved once, every address is judged as a number, and the connection goes to the judged
address itself, so neither a redirect, nor a name that changes its mind (DNS rebinding), nor another
way to write an address (decimal, octal, IPv6-mapped) leads inside. OUTBOUND_ALLOW lists networks
and hosts that are exempt.
"""

import socket
import ssl
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any
from urllib.parse import SplitResult, urlsplit

from django.conf import settings

from apps.core.errors import DomainError

_Address = IPv4Address | IPv6Address
_NAT64 = IPv6Network("64:ff9b::/96")
CONNECT_SECONDS = 10


class OutboundError(DomainError):
    """A call outside that came to nothing."""


class OutboundRefused(OutboundError):
    """The address must not be called from here."""


class Unreachable(OutboundError):
    """Nobody answers there, or not in HTTP."""


class TooSlow(OutboundError):
    """The answer took longer than it may."""


class TooLarge(OutboundError):
    """The answer is larger than it may be."""


def check_url(url: str) -> None:
    """Raises OutboundRefused where `url` is not http(s) to an address that may be called."""
    parts = parts_of(url)
    resolve(str(parts.hostname), port_of(parts))


def resolve(host: str, port: int) -> list[tuple[socket.AddressFamily, str]]:
    """The addresses of `host` that may be called, in the order of preference.

    Raises Unreachable where the name is unknown, OutboundRefused where no address is allowed.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise Unreachable(f"The host {host} is not known; check the address.") from None
    addresses = dict.fromkeys((kind, str(where[0])) for kind, *_, where in found)
    allowed: list[tuple[socket.AddressFamily, str]] = [
        (family, ip) for family, ip in addresses if _host_is_allowed(host) or permitted(ip)
    ]
    if not allowed:
        raise OutboundRefused(
            f"{host} is an address within this network, which may not be called from here. "
            "An administrator can allow it with OUTBOUND_ALLOW."
        )
    return allowed


def permitted(ip: str) -> bool:
    """True where the address is a public one, or lies in a network of OUTBOUND_ALLOW."""
    address = ip_address(ip.partition("%")[0])
    meant = _carried(address) or address
    return _network_is_allowed(meant) or (meant.is_global and not meant.is_multicast)


def connect(host: str, port: int, *, timeout: float = CONNECT_SECONDS) -> socket.socket:
    """A TCP connection to an allowed address of `host`. Raises OutboundRefused, Unreachable."""
    reason: OSError | None = None
    for family, ip in resolve(host, port):
        connection = socket.socket(family, socket.SOCK_STREAM)
        connection.settimeout(timeout)
        try:
            connection.connect((ip, port))
        except OSError as error:
            connection.close()
            reason = error
        else:
            return connection
    raise Unreachable(f"{host} does not answer on port {port}: {reason_of(reason)}.") from reason


def guard_process() -> None:
    """From here on this process connects to allowed addresses only, whichever library asks.

    Sockets of this machine's file system are refused as well. There is no way back: for processes
    that do nothing but fetch.
    """

    vouched: set[str] = set()
    asking = threading.local()

    def judge(event: str, args: tuple[Any, ...]) -> None:
        if event == "socket.connect":
            _judge_connection(args[1], vouched)
        elif event == "socket.getaddrinfo" and not getattr(asking, "now", False):
            asking.now = True  # the question below is judged as well
            vouched.update(_addresses_of(str(args[0])))
            asking.now = False

    sys.addaudithook(judge)


def _judge_connection(where: Any, vouched: set[str]) -> None:
    if not isinstance(where, tuple):
        raise OutboundRefused("Sockets of this machine may not be opened from here.")
    if where[0] not in vouched:
        resolve(str(where[0]), int(where[1]))


def _addresses_of(host: str) -> set[str]:
    """The addresses of a host that is allowed by its name; none of another."""
    if not _host_is_allowed(host):
        return set()
    with suppress(OSError):
        return {str(where[0]) for *_, where in socket.getaddrinfo(host, None)}
    return set()


def tls() -> ssl.SSLContext:
    """How places outside prove who they are: the machine's authorities, and OUTBOUND_CA_BUNDLE."""
    context = ssl.create_default_context()
    if settings.OUTBOUND_CA_BUNDLE:
        context.load_verify_locations(settings.OUTBOUND_CA_BUNDLE)
    return context


def parts_of(url: str) -> SplitResult:
    """The parts of an http(s) address. Raises OutboundRefused where it is none."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise OutboundRefused(f"{url} is not an address that can be called.") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname or port == 0:
        raise OutboundRefused("The address has to begin with https:// or http:// and a host name.")
    if parts.username is not None or parts.password is not None:
        raise OutboundRefused(
            "The address holds a user name or password; keep those in a credential instead."
        )
    if any(ord(sign) <= 32 or ord(sign) == 127 for sign in url):
        raise OutboundRefused("The address holds a space or a control character.")
    return parts


def port_of(parts: SplitResult) -> int:
    """The port named, or the one that the scheme implies."""
    return parts.port or (443 if parts.scheme == "https" else 80)


def reason_of(error: Exception | None) -> str:
    """What an error of the network says, to stand after a colon."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({error.verify_message})"
    if isinstance(error, TimeoutError):
        return "the connection took too long"
    return (getattr(error, "strerror", None) or str(error) or "it closed the connection").rstrip(
        "."
    )


def _carried(address: _Address) -> IPv4Address | None:
    """The IPv4 address that an IPv6 one stands for: mapped, 6to4, NAT64."""
    if isinstance(address, IPv4Address):
        return None
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour


def _network_is_allowed(address: _Address) -> bool:
    return any(address in network for network in _allowed_networks())


def _allowed_networks() -> Iterator[IPv4Network | IPv6Network]:
    for entry in settings.OUTBOUND_ALLOW:
        with suppress(ValueError):
            yield ip_network(entry.strip("[]"), strict=False)


def _host_is_allowed(host: str) -> bool:
    return host.lower().rstrip(".") in {entry.lower() for entry in settings.OUTBOUND_ALLOW}

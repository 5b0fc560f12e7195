"""Is the port that we want free, and if not, whose is it?"""

import errno
import socket

import psutil

from deeploy_site.up.errors import UpError


def check(host: str, port: int) -> None:
    """Raises UpError where the web process could not listen."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen(1)
    except (OSError, OverflowError) as error:
        raise UpError(_message(host, port, error)) from None


def _message(host: str, port: int, error: Exception) -> str:
    number = getattr(error, "errno", None)
    if number == errno.EADDRINUSE:
        return (
            f"Port {port} on {host} is taken{_by_whom(port)}.\n"
            f"Stop that program, or choose another port: PORT={port + 1} make run"
        )
    if number == errno.EACCES:
        return f"Port {port} needs more rights. Choose one above 1023: PORT=8000 make run"
    return f"Cannot listen on HOST={host} PORT={port}: {error}"


def _by_whom(port: int) -> str:
    """The process that listens, where the system lets us see it."""
    try:
        for found in psutil.net_connections("tcp"):
            listens = found.status == psutil.CONN_LISTEN and tuple(found.laddr)[1:] == (port,)
            if listens and found.pid:
                return f" by process {found.pid} ({psutil.Process(found.pid).name()})"
    except psutil.Error:
        pass
    return ""

"""Gives a container without a network an address: a Unix socket that leads to one of its ports.

Runs beside the container, in its network, with `python -I relay.py /path/of/socket port`.
Standard library alone.
"""

import asyncio
import contextlib
import os
import signal
import sys

_BACKLOG = 1024


class Half(asyncio.Protocol):
    """One side of a connection; what it receives goes to the other."""

    def __init__(self) -> None:
        self.peer: asyncio.Transport | None = None
        self.early: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        if self.peer is None:
            self.early.append(data)
        else:
            self.peer.write(data)

    def join(self, peer: asyncio.Transport) -> None:
        """Leads to `peer` from now on, beginning with what came early."""
        self.peer = peer
        peer.writelines(self.early)
        self.early.clear()

    def eof_received(self) -> bool:
        if self.peer is not None and self.peer.can_write_eof():
            self.peer.write_eof()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        if self.peer is not None:
            self.peer.close()

    def pause_writing(self) -> None:
        if self.peer is not None:
            self.peer.pause_reading()

    def resume_writing(self) -> None:
        if self.peer is not None and not self.peer.is_closing():
            self.peer.resume_reading()


class Client(Half):
    """A client's side: connects to the port."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self.port = port

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.joining = asyncio.ensure_future(self._join())

    async def _join(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            transport, server = await loop.create_connection(Half, "127.0.0.1", self.port)
        except OSError:
            self.transport.abort()
            return
        server.join(self.transport)
        self.join(transport)
        if self.transport.is_closing():
            transport.close()


async def main(path: str, port: int) -> None:
    """Relays until SIGTERM."""
    loop = asyncio.get_running_loop()
    stopping = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stopping.set)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    server = await loop.create_unix_server(lambda: Client(port), path, backlog=_BACKLOG)
    await stopping.wait()
    server.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))

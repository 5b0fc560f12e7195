"""`python -m apps.serving --spec spec.json`: serves one model until SIGTERM.

`--describe` loads the model, prints what it knows of itself as one line of JSON, and ends.
The exit code is 3 where the model cannot be loaded; the last line on standard error says why.
"""

import argparse
import asyncio
import gc
import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TextIO

from apps.serving.errors import ServingError
from apps.serving.loaders import load
from apps.serving.server import ModelServer
from apps.serving.spec import ServerSpec
from apps.serving.transformer import FRAMEWORK, TransformerServer

LOAD_FAILED = 3
_DRAIN_SECONDS = 30
_PROGRESS_SECONDS = 10


def main() -> int:
    parser = argparse.ArgumentParser(prog="apps.serving", description=__doc__)
    parser.add_argument("--spec", type=Path, required=True)
    parser.add_argument("--describe", action="store_true")
    arguments = parser.parse_args()
    spec = ServerSpec.load(arguments.spec)
    if arguments.describe:
        return _describe(spec)
    try:
        import uvloop
    except ImportError:
        return asyncio.run(serve(spec))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(serve(spec))


def _describe(spec: ServerSpec) -> int:
    try:
        description = load(spec).describe()
    except ServingError as error:
        _say(error.message, sys.stderr)
        return LOAD_FAILED
    _say(json.dumps(description))
    return 0


async def serve(spec: ServerSpec) -> int:
    """Listens, loads, answers; returns the exit code."""
    loop = asyncio.get_running_loop()
    server = _server_of(spec)
    stopping = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stopping.set)
    listener = await _listen(server)
    _say(json.dumps({"address": _address(spec, listener)}))
    started = time.monotonic()
    what = "transformer" if spec.framework == FRAMEWORK else f"{spec.framework} {spec.role}"
    _say(f"Loading a {what} from {spec.format}")
    progress = asyncio.create_task(_report_progress(server))
    try:
        with _without_collections():
            await server.load()
    except ServingError as error:
        _say(error.message, sys.stderr)
        await asyncio.sleep(0.5)
        # A thread of a half-loaded library may hang the interpreter's own way out.
        os._exit(LOAD_FAILED)
    progress.cancel()
    _say(f"Ready after {time.monotonic() - started:.1f} s: {_said(spec)}")
    await stopping.wait()
    await _drain(server, listener)
    return 0


@contextmanager
def _without_collections() -> Iterator[None]:
    """Importing libraries makes a million objects that stay: to look for garbage among them takes
    an eighth of the start, and afterwards they are nobody's to look at again."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def _server_of(spec: ServerSpec) -> ModelServer:
    if spec.role == "explainer":
        # Brings pandas and more, which no other server needs.
        kind = import_module("apps.serving.explainer").ExplainerServer
        explainer: ModelServer = kind(spec)
        return explainer
    return TransformerServer(spec) if spec.framework == FRAMEWORK else ModelServer(spec)


def _said(spec: ServerSpec) -> str:
    if spec.role == "explainer":
        return "each method explained the example input"
    if spec.framework == FRAMEWORK:
        return "imported"
    return "the example input gave a valid output"


async def _report_progress(server: ModelServer) -> None:
    """Says in the log that a model which takes long is still on its way."""
    while True:
        await asyncio.sleep(_PROGRESS_SECONDS)
        _say(f"Still loading after {server.uptime_seconds:.0f} s")


async def _listen(server: ModelServer) -> asyncio.Server:
    loop = asyncio.get_running_loop()
    spec = server.spec
    if spec.uds:
        Path(spec.uds).unlink(missing_ok=True)
        return await loop.create_unix_server(server.connection, spec.uds, backlog=1024)
    return await loop.create_server(server.connection, spec.host, spec.port, backlog=1024)


def _address(spec: ServerSpec, listener: asyncio.Server) -> str:
    if spec.uds:
        return f"unix:{spec.uds}"
    host, port = listener.sockets[0].getsockname()[:2]
    return f"http://{host}:{port}"


async def _drain(server: ModelServer, listener: asyncio.Server) -> None:
    listener.close()
    for _ in range(_DRAIN_SECONDS * 20):
        if not server.in_flight:
            break
        await asyncio.sleep(0.05)
    for connection in list(server.connections):
        connection.finish()


def _say(text: str, stream: TextIO = sys.stdout) -> None:
    stream.write(f"{text}\n")
    stream.flush()


if __name__ == "__main__":
    sys.exit(main())

"""The small HTTP server: connections are kept, answers keep their order, bad bytes end politely."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from apps.serving.errors import BadRequest
from apps.serving.http import Connection, Request, Response

LIMIT = 1000
Reader, Writer = asyncio.StreamReader, asyncio.StreamWriter
Open = Callable[[], "asyncio.Future[tuple[Reader, Writer]]"]


class Echo:
    """Answers with the body: at once, later when the path says so, or with a failure."""

    def __init__(self) -> None:
        self.waiting: list[asyncio.Future[Response]] = []

    def __call__(self, request: Request) -> Response | asyncio.Future[Response]:
        if request.path == "/later":
            future = asyncio.get_running_loop().create_future()
            self.waiting.append(future)
            return future
        if request.path == "/refused":
            raise BadRequest('not "this" way')
        if request.path == "/broken":
            raise KeyError("a fault of ours")
        return Response(200, request.body or request.path.encode())


@pytest.fixture
def echo() -> Echo:
    return Echo()


@pytest.fixture
async def open_connection(echo: Echo, tmp_path: Path) -> AsyncIterator[Open]:
    loop, path, kept = asyncio.get_running_loop(), str(tmp_path / "s"), []
    connections: set[Connection] = set()
    server = await loop.create_unix_server(lambda: Connection(echo, LIMIT, connections), path)

    async def opened() -> tuple[Reader, Writer]:
        reader, writer = await asyncio.open_unix_connection(path)
        kept.append(writer)
        return reader, writer

    yield opened  # type: ignore[misc]
    for writer in kept:
        writer.close()
    server.close()
    await until(lambda: not connections)


async def until(done: Callable[[], bool], seconds: float = 5) -> None:
    deadline = asyncio.get_running_loop().time() + seconds
    while not done():
        assert asyncio.get_running_loop().time() < deadline
        await asyncio.sleep(0.01)


def post(path: str, body: bytes, extra: str = "") -> bytes:
    head = f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n{extra}\r\n"
    return head.encode() + body


async def answer(reader: Reader) -> tuple[int, bytes, bytes]:
    """Status, head and body of the next answer."""
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    return int(head.split()[1]), head, await reader.readexactly(length)


async def ended(reader: Reader) -> bool:
    return await asyncio.wait_for(reader.read(), 5) == b""


async def test_a_connection_is_kept(open_connection: Open) -> None:
    reader, writer = await open_connection()
    for number in range(3):
        writer.write(post("/", b"%d" % number))
        assert (await answer(reader))[2] == b"%d" % number


async def test_pipelined_answers_keep_their_order(open_connection: Open, echo: Echo) -> None:
    reader, writer = await open_connection()
    writer.write(post("/later", b"") + post("/", b"second") + post("/later", b""))
    while len(echo.waiting) < 2:
        await asyncio.sleep(0.01)
    echo.waiting[1].set_result(Response(200, b"third"))
    await asyncio.sleep(0.01)
    echo.waiting[0].set_result(Response(200, b"first"))
    assert [(await answer(reader))[2] for _ in range(3)] == [b"first", b"second", b"third"]


async def test_a_chunked_body_in_single_bytes_is_read(open_connection: Open) -> None:
    reader, writer = await open_connection()
    head = b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
    for byte in head + b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n":
        writer.write(bytes([byte]))
        await asyncio.sleep(0)
    assert (await answer(reader))[2] == b"abcde"


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_that_is_too_large_is_refused(open_connection: Open, chunked: bool) -> None:
    reader, writer = await open_connection()
    body = b"x" * (LIMIT + 1)
    if chunked:
        head = b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
        writer.write(head + b"%x\r\n" % len(body) + body)
    else:
        writer.write(post("/", body))
    status, head, text = await answer(reader)
    assert (status, text) == (413, b'{"error":"The body is larger than 1,000 bytes"}')
    assert b"connection: close" in head
    assert await ended(reader)


@pytest.mark.parametrize(
    "nonsense", [b"hello\r\n\r\n", b"\x16\x03\x01\x02", b"GET / HTTP/9\r\n\r\n"]
)
async def test_what_is_not_http_is_refused_and_closed(
    open_connection: Open, nonsense: bytes
) -> None:
    reader, writer = await open_connection()
    writer.write(nonsense)
    assert (await answer(reader))[0] == 400
    assert await ended(reader)


async def test_an_endless_address_is_refused(open_connection: Open) -> None:
    reader, writer = await open_connection()
    writer.write(b"GET /" + b"x" * 20_000)
    assert b"too long" in (await answer(reader))[2]


async def test_a_half_closed_client_is_answered(open_connection: Open, echo: Echo) -> None:
    reader, writer = await open_connection()
    writer.write(post("/later", b""))
    writer.write_eof()
    while not echo.waiting:
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.02)
    echo.waiting[0].set_result(Response(200, b"still"))
    assert (await answer(reader))[2] == b"still"
    assert await ended(reader)


async def test_a_client_that_is_gone_cancels_what_it_asked(
    open_connection: Open, echo: Echo
) -> None:
    _, writer = await open_connection()
    writer.write(post("/later", b""))
    await until(lambda: bool(echo.waiting))
    writer.transport.abort()
    await until(lambda: echo.waiting[0].cancelled())


async def test_close_is_honoured(open_connection: Open) -> None:
    reader, writer = await open_connection()
    writer.write(post("/", b"x", "connection: close\r\n"))
    assert b"connection: close" in (await answer(reader))[1]
    assert await ended(reader)


async def test_http_1_0_is_answered_and_closed(open_connection: Open) -> None:
    reader, writer = await open_connection()
    writer.write(b"GET /path HTTP/1.0\r\n\r\n")
    assert (await answer(reader))[2] == b"/path"
    assert await ended(reader)


async def test_refusals_and_faults_leave_the_connection_open(open_connection: Open) -> None:
    reader, writer = await open_connection()
    writer.write(post("/refused", b"") + post("/broken", b"") + post("/", b"fine"))
    found = [await answer(reader) for _ in range(3)]
    assert [status for status, _, _ in found] == [400, 500, 200]
    assert found[0][2] == b'{"error":"not \\"this\\" way"}'


async def test_the_query_is_no_part_of_the_path(open_connection: Open) -> None:
    reader, writer = await open_connection()
    writer.write(post("/a?b=c", b""))
    assert (await answer(reader))[2] == b"/a"

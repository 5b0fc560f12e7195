"""The guard on calls outside, trick by trick, against real servers on this machine."""

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from apps.core import outbound
from apps.core.outbound import OutboundRefused, TooLarge, TooSlow, Unreachable
from apps.core.outbound_http import open_url

LOOPBACK = ["127.0.0.0/8"]


@contextmanager
def served(answer: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[tuple[str, list[dict]]]:
    """A server that answers every GET and POST by `answer`; yields its address and what it saw."""
    seen: list[dict] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            seen.append({"path": self.path, "method": self.command, **dict(self.headers)})
            answer(self)

        do_POST = do_GET

        def log_message(self, *_):
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", seen
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def says(body: bytes, status: int = 200, **headers: str):
    def answer(handler):
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def redirects_to(where: str, status: int = 302):
    return says(b"", status, Location=where)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "0177.0.0.1",
        "127.1",
        "0.0.0.0",  # noqa: S104
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "169.254.169.254",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1",
        "fd00:ec2::254",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:a9fe:a9fe",
        "2002:7f00:1::",
        "64:ff9b::a00:1",
    ],
)
def test_addresses_within_are_refused_however_they_are_written(host):
    with pytest.raises(OutboundRefused):
        outbound.resolve(host, 80)


@pytest.mark.parametrize("host", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8"])
def test_public_addresses_are_allowed(host):
    assert [ip for _, ip in outbound.resolve(host, 443)] == [host]


def test_an_allowed_network_may_be_called_and_its_neighbour_not(settings):
    settings.OUTBOUND_ALLOW = ["10.20.0.0/16", "fd12::/16"]

    assert outbound.resolve("10.20.3.4", 80)
    assert outbound.resolve("fd12::1", 80)
    assert outbound.resolve("::ffff:10.20.3.4", 80)
    with pytest.raises(OutboundRefused):
        outbound.resolve("10.21.0.1", 80)


def test_an_allowed_host_may_be_called_by_that_name_alone(settings):
    settings.OUTBOUND_ALLOW = ["LocalHost"]

    assert outbound.resolve("localhost", 80)
    with pytest.raises(OutboundRefused, match="OUTBOUND_ALLOW"):
        outbound.resolve("127.0.0.1", 80)


def test_an_unknown_host_is_named(monkeypatch):
    def unknown(*_, **__):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)

    with pytest.raises(Unreachable, match=r"nowhere\.example is not known"):
        outbound.resolve("nowhere.example", 80)


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "gopher://example.org/",
        "https://",
        "https://name:secret@example.org/",
        "http://8.8.8.8:0/",
        "http://8.8.8.8:99999/",
        "http://8.8.8.8/a b",
        "http://[::1/",
        "http://127.0.0.1/",
    ],
)
def test_what_is_no_address_outside_is_refused(url):
    with pytest.raises(OutboundRefused):
        outbound.check_url(url)


def test_a_name_that_changes_its_mind_leads_nowhere_else(settings, monkeypatch):
    """The address that was judged is the one that is called: the name is asked once."""
    settings.OUTBOUND_ALLOW = LOOPBACK
    with served(says(b"hello")) as (url, _):
        asked = []
        real = socket.getaddrinfo

        def rebinding(host, port, **options):
            asked.append(host)
            return real("127.0.0.1" if len(asked) == 1 else "10.0.0.1", port, **options)

        monkeypatch.setattr(socket, "getaddrinfo", rebinding)
        with open_url(url.replace("127.0.0.1", "rebinding.example")) as answer:
            assert answer.read() == b"hello"
    assert asked == ["rebinding.example"]


def test_a_name_with_a_public_and_a_private_address_leads_outside_only(monkeypatch):
    def both(*_, **__):
        kinds = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
        return [(*kinds, ("10.0.0.1", 80)), (*kinds, ("8.8.8.8", 80))]

    monkeypatch.setattr(socket, "getaddrinfo", both)

    assert outbound.resolve("both.example", 80) == [(socket.AF_INET, "8.8.8.8")]


def test_the_answer_comes_with_status_and_headers(settings):
    settings.OUTBOUND_ALLOW = LOOPBACK
    with (
        served(says(b"gone", 404, X_Why="deleted")) as (url, seen),
        open_url(f"{url}/a?b=c", method="POST", body=b"x", headers={"X-Mark": "1"}) as answer,
    ):
        assert (answer.status, answer.headers["x-why"], answer.read()) == (404, "deleted", b"gone")
    assert (seen[0]["path"], seen[0]["method"], seen[0]["x-mark"]) == ("/a?b=c", "POST", "1")


def test_a_redirect_within_is_refused(settings):
    settings.OUTBOUND_ALLOW = ["127.0.0.1/32"]
    with (
        served(redirects_to("http://127.0.0.2:9/secret")) as (url, _),
        pytest.raises(OutboundRefused, match=r"127\.0\.0\.2"),
        open_url(url),
    ):
        pass


def test_a_redirect_to_another_origin_takes_no_credentials_along(settings):
    settings.OUTBOUND_ALLOW = LOOPBACK
    with (
        served(says(b"here")) as (target, seen),
        served(redirects_to(target)) as (url, first),
        open_url(url, headers={"Authorization": "Bearer t", "X-Mark": "1"}) as answer,
    ):
        assert answer.read() == b"here"
    assert first[0]["authorization"] == "Bearer t"
    assert "authorization" not in seen[0]
    assert seen[0]["x-mark"] == "1"


def test_endless_redirects_end(settings):
    settings.OUTBOUND_ALLOW = LOOPBACK
    with (
        served(redirects_to("/again")) as (url, seen),
        pytest.raises(Unreachable, match="without end"),
        open_url(url),
    ):
        pass
    assert len(seen) == 6


def test_an_answer_that_says_it_is_too_large_is_not_read(settings):
    settings.OUTBOUND_ALLOW = LOOPBACK
    with (
        served(says(b"x" * 2048)) as (url, _),
        open_url(url, max_bytes=1024) as answer,
        pytest.raises(TooLarge, match="larger than 1 KB"),
    ):
        next(answer.chunks())


def drips(handler):
    """An answer without an end, a little at a time."""
    handler.send_response(200)
    handler.end_headers()
    try:
        while True:
            handler.wfile.write(b"x" * 100)
            time.sleep(0.02)
    except OSError:
        pass


def test_an_endless_answer_ends_at_the_limit_of_size(settings):
    settings.OUTBOUND_ALLOW = LOOPBACK
    with (
        served(drips) as (url, _),
        open_url(url, max_bytes=500) as answer,
        pytest.raises(TooLarge),
    ):
        answer.read()


def test_an_endless_answer_ends_at_the_limit_of_time(settings):
    settings.OUTBOUND_ALLOW = LOOPBACK
    with (
        served(drips) as (url, _),
        open_url(url, seconds=0.3) as answer,
        pytest.raises(TooSlow, match=r"0\.3 seconds"),
    ):
        answer.read()


def test_a_server_that_drips_its_headers_is_left_in_time(settings):
    settings.OUTBOUND_ALLOW = LOOPBACK

    def slowly(handler):
        try:
            for sign in b"HTTP/1.1 200 OK\r\nX-Long: " + b"a" * 1000:
                handler.wfile.write(bytes([sign]))
                time.sleep(0.02)
        except OSError:
            pass

    begun = time.monotonic()
    with served(slowly) as (url, _), pytest.raises(TooSlow), open_url(url, seconds=0.3):
        pass
    assert time.monotonic() - begun < 5


def test_an_answer_that_breaks_off_is_no_answer(settings):
    settings.OUTBOUND_ALLOW = LOOPBACK

    def half(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", "100")
        handler.end_headers()
        handler.wfile.write(b"half")

    with (
        served(half) as (url, _),
        open_url(url) as answer,
        pytest.raises(Unreachable, match="broke off after 4 bytes"),
    ):
        answer.read()


def test_a_port_where_nobody_listens_is_named(settings):
    settings.OUTBOUND_ALLOW = LOOPBACK
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with (
            pytest.raises(Unreachable, match=f"on port {port}: Connection refused"),
            open_url(f"http://127.0.0.1:{port}"),
        ):
            pass


def test_a_guarded_process_connects_nowhere_within_whatever_library_asks():
    program = """
import socket, urllib.request
from django.conf import settings
settings.configure(OUTBOUND_ALLOW=["127.0.0.1/32"], OUTBOUND_CA_BUNDLE="")
from apps.core import outbound
outbound.guard_process()
server = socket.create_server(("127.0.0.1", 0))
socket.create_connection(server.getsockname()).close()
for url in ("http://127.0.0.2:9/", "http://0x7f000002:9/", "http://[::1]:9/"):
    try:
        urllib.request.urlopen(url, timeout=2)
    except outbound.OutboundRefused:
        print("refused")
try:
    socket.socket(socket.AF_UNIX).connect("/var/run/docker.sock")
except outbound.OutboundRefused:
    print("refused")
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=False
    )

    assert done.stdout.split() == ["refused"] * 4, done.stderr


def test_a_guarded_process_may_call_an_allowed_host_by_its_name():
    program = """
import socket
from django.conf import settings
settings.configure(OUTBOUND_ALLOW=["localhost"], OUTBOUND_CA_BUNDLE="")
from apps.core import outbound
outbound.guard_process()
server = socket.create_server(("127.0.0.1", 0))
socket.create_connection(("localhost", server.getsockname()[1])).close()
print("connected")
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=False
    )

    assert done.stdout.strip() == "connected", done.stderr

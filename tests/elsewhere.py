"""A server elsewhere: a real one on this machine, with every way to ask for credentials, and
every way to fail."""

import base64
import json
import ssl
import threading
import time
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

USER, PASSWORD = "bank", "pässword"
BASIC = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()


class Elsewhere:
    """Answers POST at paths that name what happens; keeps what it was sent in `calls`."""

    def __init__(self, folder: Path | None = None) -> None:
        owner = self

        class Handler(_Handler):
            place = owner

        self.calls: list[tuple[str, dict[str, str], Any]] = []
        self.tokens: list[str] = []
        self.token_seconds = 3600
        self.down = False
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.scheme = "http"
        if folder is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate(folder))
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
            self.scheme = "https"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        return f"{self.scheme}://{host}:{self.server.server_address[1]}{path}"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    place: Elsewhere

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        form = self.path == "/token"
        content = parse_qs(body.decode()) if form else json.loads(body)
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.place.calls.append((self.path, headers, content))
        getattr(self, f"on_{self.path.strip('/').replace('-', '_')}")(headers, content)

    def do_GET(self) -> None:
        self.answer(503 if self.place.down else 405, {"error": "POST only"})

    def on_v1(self, headers: dict[str, str], content: Any) -> None:
        self.answer(200, {"predictions": [row["income"] / 100 for row in content["instances"]]})

    def on_v2(self, headers: dict[str, str], content: Any) -> None:
        tensors = {each["name"]: each["data"] for each in content["inputs"]}
        data = [income / 100 for income in tensors["income"]]
        output = {"name": "score", "datatype": "FP64", "shape": [len(data)], "data": data}
        self.answer(200, {"model_name": "m", "outputs": [output]})

    def on_chat(self, headers: dict[str, str], content: Any) -> None:
        self.answer(200, {"said": content["prompt"][::-1], "usage": {"tokens": 3}})

    def on_basic(self, headers: dict[str, str], content: Any) -> None:
        self.only_if(headers.get("authorization") == BASIC, content)

    def on_bearer(self, headers: dict[str, str], content: Any) -> None:
        self.only_if(headers.get("authorization") == "Bearer s3cret", content)

    def on_custom(self, headers: dict[str, str], content: Any) -> None:
        self.only_if(headers.get("x-api-key") == "s3cret", content)

    def on_oauth(self, headers: dict[str, str], content: Any) -> None:
        kept = self.place.tokens[-1:]
        self.only_if([headers.get("authorization")] == [f"Bearer {t}" for t in kept], content)

    def on_token(self, headers: dict[str, str], content: Any) -> None:
        if headers["authorization"] != BASIC.replace(
            BASIC[6:], base64.b64encode(b"client:s3cret").decode()
        ):
            return self.answer(401, {"error": "invalid_client"})
        self.place.tokens.append(f"token-{len(self.place.tokens)}")
        seconds = self.place.token_seconds
        return self.answer(200, {"access_token": self.place.tokens[-1], "expires_in": seconds})

    def on_error(self, headers: dict[str, str], content: Any) -> None:
        self.answer(500, {"error": "out of memory"})

    def on_refuses(self, headers: dict[str, str], content: Any) -> None:
        self.answer(422, {"detail": "income is negative"})

    def on_slow(self, headers: dict[str, str], content: Any) -> None:
        time.sleep(3)
        self.on_v1(headers, content)

    def on_words(self, headers: dict[str, str], content: Any) -> None:
        self.send(200, b"<html>It works!</html>")

    def on_other(self, headers: dict[str, str], content: Any) -> None:
        self.answer(200, {"result": 7})

    def on_fewer(self, headers: dict[str, str], content: Any) -> None:
        self.answer(200, {"predictions": [1.0]})

    def on_large(self, headers: dict[str, str], content: Any) -> None:
        self.send(200, b'{"predictions":[' + b" " * 2 * 1024**2 + b"1]}")

    def on_redirect(self, headers: dict[str, str], content: Any) -> None:
        self.send(307, b"", location="http://10.0.0.1/latest/meta-data")

    def on_hangs_up(self, headers: dict[str, str], content: Any) -> None:
        self.close_connection = True

    def only_if(self, allowed: bool, content: Any) -> None:
        if allowed:
            self.on_v1({}, content)
        else:
            self.answer(401, {"error": "who are you?"})

    def answer(self, status: int, content: Any) -> None:
        self.send(status, json.dumps(content).encode())

    def send(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"content-length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""


def certificate(folder: Path) -> tuple[str, str]:
    """A certificate for 127.0.0.1 that nobody vouches for, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(private)
    return str(folder / "cert.pem"), str(folder / "key.pem")

"""A real SSH server on this machine that serves Git, as a Git host does, to one key."""

import io
import shlex
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import paramiko

_PIECE = 65_536


@dataclass(frozen=True)
class Door:
    """Where the server listens, the private key that it takes, and its own line for known_hosts."""

    port: int
    private_key: str
    known_host: str

    @property
    def url(self) -> str:
        return f"ssh://git@127.0.0.1:{self.port}/models.git"


class _Session(paramiko.ServerInterface):
    def __init__(self, key: paramiko.PKey, root: Path, threads: list[threading.Thread]) -> None:
        self.key, self.root, self.threads = key, root, threads

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        right = username == "git" and key.get_base64() == self.key.get_base64()
        return paramiko.AUTH_SUCCESSFUL if right else paramiko.AUTH_FAILED

    def get_allowed_auths(self, username: str) -> str:
        return "publickey"

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return paramiko.OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel: Any, command: bytes) -> bool:
        program, path = shlex.split(command.decode())
        if program != "git-upload-pack":
            return False
        folder = self.root / path.lstrip("/")
        self.threads.append(threading.Thread(target=_serve_git, args=(channel, folder)))
        self.threads[-1].start()
        return True


def _serve_git(channel: Any, folder: Path) -> None:
    """What `git upload-pack` says goes to the caller, and what they say to it."""
    program = subprocess.Popen(
        ["git", "upload-pack", str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert program.stdin is not None
    assert program.stdout is not None
    assert program.stderr is not None

    def heard() -> None:
        assert program.stdin is not None
        with suppress(OSError, EOFError):
            while data := channel.recv(_PIECE):
                program.stdin.write(data)
                program.stdin.flush()
        with suppress(OSError, EOFError):
            program.stdin.close()

    listener = threading.Thread(target=heard)
    listener.start()
    with suppress(OSError, EOFError):
        while data := program.stdout.read1(_PIECE):  # type: ignore[attr-defined]
            channel.sendall(data)
        channel.sendall_stderr(program.stderr.read())
        channel.send_exit_status(program.wait(10))
    with suppress(OSError, EOFError):  # the client may be gone
        channel.close()
    listener.join()
    program.kill()
    program.wait()
    program.stdout.close()
    program.stderr.close()


@contextmanager
def git_over_ssh(root: Path) -> Iterator[Door]:
    """Serves the bare repositories in `root`."""
    ours, host = paramiko.ECDSAKey.generate(), paramiko.ECDSAKey.generate()
    listening = socket.create_server(("127.0.0.1", 0))
    listening.settimeout(0.1)
    ended = threading.Event()
    transports: list[paramiko.Transport] = []
    threads: list[threading.Thread] = []

    def serve() -> None:
        while not ended.is_set():
            try:
                client, _ = listening.accept()
            except TimeoutError:
                continue
            client.setblocking(True)
            transport = paramiko.Transport(client)
            transports.append(transport)
            transport.add_server_key(host)
            transport.start_server(server=_Session(ours, root, threads), event=threading.Event())

    thread = threading.Thread(target=serve)
    thread.start()
    text = io.StringIO()
    ours.write_private_key(text)
    port = listening.getsockname()[1]
    try:
        yield Door(
            port, text.getvalue(), f"[127.0.0.1]:{port} {host.get_name()} {host.get_base64()}"
        )
    finally:
        ended.set()
        thread.join()
        for transport in transports:
            transport.close()
        for each in threads:
            each.join()
        listening.close()

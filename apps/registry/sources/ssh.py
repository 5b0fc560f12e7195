"""SSH for Git: a key, the host's own key checked, no shell, no agent, no configuration of ours."""

import io
from base64 import b64encode
from dataclasses import dataclass
from typing import Any

import paramiko
from dulwich.client import SSHVendor

from apps.core.outbound import connect
from apps.registry.sources.errors import SourceFailed

_SECONDS = 15


@dataclass(frozen=True, slots=True)
class Login:
    """A private key and what is known of hosts."""

    key: paramiko.PKey
    known_hosts: str

    @classmethod
    def of(cls, secret: dict[str, str]) -> "Login":
        """Raises SourceFailed where the key cannot be read."""
        phrase = secret.get("passphrase") or None
        for kind in (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey):
            try:
                key = kind.from_private_key(io.StringIO(secret["privateKey"]), phrase)
            except paramiko.PasswordRequiredException:
                raise SourceFailed("The private key needs its passphrase.") from None
            except (paramiko.SSHException, ValueError, IndexError):
                continue
            return cls(key, secret.get("knownHosts", ""))
        raise SourceFailed(
            "The private key cannot be read: it is no Ed25519, ECDSA or RSA key, or the passphrase "
            "is wrong."
        )


def opened(host: str, port: int, user: str, login: Login) -> tuple[paramiko.Transport, str]:
    """A connection that has proved both sides, and the host's line for known_hosts.

    Raises SourceFailed where the host is another one, or refuses the key.
    """
    transport = paramiko.Transport(connect(host, port))
    try:
        transport.start_client(timeout=_SECONDS)
        line = _checked_host(host, port, transport.get_remote_server_key(), login.known_hosts)
        transport.auth_publickey(user, login.key)
    except paramiko.AuthenticationException:
        transport.close()
        raise SourceFailed(
            f"{host} refuses the SSH key for {user}. Add its public half there, or choose another."
        ) from None
    except (paramiko.SSHException, EOFError, OSError) as error:
        transport.close()
        raise SourceFailed(f"{host} did not answer as an SSH server does: {error}.") from error
    except SourceFailed:
        transport.close()
        raise
    return transport, line


def _checked_host(host: str, port: int, key: paramiko.PKey, known: str) -> str:
    name = host if port == 22 else f"[{host}]:{port}"
    line = f"{name} {key.get_name()} {key.get_base64()}"
    entries = [entry.split() for entry in known.splitlines() if not entry.startswith("#")]
    keys = {words[2] for words in entries if len(words) >= 3 and name in words[0].split(",")}
    if keys and key.get_base64() not in keys:
        digest = b64encode(bytes(key.fingerprint.encode())).decode()[:16]
        raise SourceFailed(
            f"{host} shows another key ({key.get_name()}, {digest}…) than the one that is known. "
            "Somebody may stand between; replace the credential only if the host was renewed."
        )
    return line


class _Channel:
    """What dulwich reads from and writes to."""

    def __init__(self, transport: paramiko.Transport, command: bytes) -> None:
        self._transport = transport
        self._channel = transport.open_session(timeout=_SECONDS)
        self._channel.settimeout(60)
        self._channel.exec_command(command.decode())
        self._file = self._channel.makefile("rb")
        self.stderr = self._channel.makefile_stderr("rb")

    def read(self, size: int = -1) -> bytes:
        return bytes(self._file.read(size))

    def write(self, data: bytes) -> None:
        self._channel.sendall(data)

    def can_read(self) -> bool:
        return bool(self._channel.recv_ready())

    def close(self, timeout: int | None = None) -> None:
        self._channel.close()
        self._transport.close()


class ParamikoVendor(SSHVendor):
    """dulwich's way to an SSH server."""

    def __init__(self, login: Login) -> None:
        self.login = login

    def run_command(  # type: ignore[override]
        self,
        host: str,
        command: bytes,
        username: str | None = None,
        port: int | None = None,
        **_: Any,
    ) -> _Channel:
        transport, _line = opened(host, port or 22, username or "git", self.login)
        return _Channel(transport, command)

"""What the environment says about a start; read without Django, which is not set up yet."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from deeploy_site import database
from deeploy_site.environment import ConfigurationError, flag, number, text

ROOT = Path(__file__).resolve().parent.parent.parent


@dataclass(frozen=True, slots=True)
class Options:
    """`address` is where this machine reaches the web process, `base_url` where people do."""

    var_dir: Path
    host: str
    port: int
    web_workers: int
    database_url: str
    wants_demo: bool
    base_url: str

    @classmethod
    def from_environment(cls) -> "Options":
        """Raises ConfigurationError."""
        port = number("PORT", 8000)
        if not 0 < port < 65_536:
            raise ConfigurationError(f"PORT={port}: write a number from 1 to 65535")
        if url := text("DATABASE_URL"):
            database.parse(url)
        return cls(
            var_dir=Path(text("VAR_DIR") or ROOT / "var").resolve(),
            host=text("HOST", "127.0.0.1"),
            port=port,
            web_workers=number("WEB_WORKERS", 1),
            database_url=url,
            wants_demo=flag("DEMO", not flag("PRODUCTION")),
            base_url=text("BASE_URL") or f"http://127.0.0.1:{port}",
        )

    @property
    def address(self) -> str:
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self.host, self.host)  # noqa: S104
        return f"http://{f'[{host}]' if ':' in host and host[0] != '[' else host}:{self.port}"

    @property
    def commands(self) -> dict[str, list[str]]:
        """The long-running processes, in the order of their start."""
        manage = [sys.executable, str(ROOT / "manage.py")]
        web = [sys.executable, "-m", "granian", "--interface", "asgi", "--loop", "uvloop"]
        web += ["--host", self.host, "--port", str(self.port), "--no-ws"]
        # One protocol and one thread beside Python's: a quarter less CPU for a request.
        web += ["--http", "1", "--runtime-mode", "mt", "--runtime-threads", "1"]
        web += ["--workers", str(self.web_workers), "--workers-kill-timeout", "12"]
        web += ["--respawn-failed-workers", "--respawn-interval", "0.1"]
        web += ["--working-dir", str(ROOT), "deeploy_site.asgi:application"]
        return {"web": web, "controller": [*manage, "controller"], "worker": [*manage, "qcluster"]}

    @property
    def environment(self) -> dict[str, str]:
        """For the child processes. The controller ends its model servers when it is stopped."""
        own = {"VAR_DIR": str(self.var_dir), "PORT": str(self.port), "HOST": self.host}
        own |= {"STOP_REPLICAS_ON_EXIT": "1", "PYTHONUNBUFFERED": "1"}
        return os.environ | own

"""Production settings, and the processes of compose.yaml without Docker."""

import http.client
import os
import re
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from deeploy_site import embedded_postgres
from deeploy_site.up.options import Options
from tests.live import ROOT, free_port
from tests.site.product import new_var_dir, wait_for

BIN = Path(sys.executable).parent
NEEDED = ("SECRET_KEY", "ALLOWED_HOSTS", "DATABASE_URL", "BASE_URL")
GIVEN = {
    "PRODUCTION": "1",
    "SECRET_KEY": secrets.token_urlsafe(60),
    "ALLOWED_HOSTS": "deeploy.example",
    "BASE_URL": "https://deeploy.example",
    "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
    "TRUST_PROXY": "1",
}


def environment(var_dir: Path, **given: str) -> dict[str, str]:
    unset = (*NEEDED, "PRODUCTION", "PLAIN_STATIC_FILES", "DJANGO_SETTINGS_MODULE")
    kept = {name: value for name, value in os.environ.items() if name not in unset}
    return kept | {"VAR_DIR": str(var_dir)} | given


def manage(*arguments: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "manage.py", *arguments]
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("absent", NEEDED)
def test_production_refuses_to_start_without_what_it_needs(tmp_path: Path, absent: str) -> None:
    given = {name: value for name, value in GIVEN.items() if name != absent}
    result = manage("check", env=environment(tmp_path, **given))
    assert result.returncode != 0
    assert f"PRODUCTION=1 needs {absent}" in result.stderr


def test_a_secret_may_lie_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(GIVEN["SECRET_KEY"])
    given = {name: value for name, value in GIVEN.items() if name != "SECRET_KEY"}
    env = environment(tmp_path, **given, SECRET_KEY_FILE=str(tmp_path / "key"))
    assert manage("check", env=env).returncode == 0
    (tmp_path / "key").unlink()
    assert "SECRET_KEY_FILE: cannot read" in manage("check", env=env).stderr


def test_debug_and_production_exclude_each_other(tmp_path: Path) -> None:
    result = manage("check", env=environment(tmp_path, **GIVEN, DEBUG="1"))
    assert "exclude each other" in result.stderr


def test_the_deployment_check_finds_nothing(tmp_path: Path) -> None:
    env = environment(tmp_path, **GIVEN)
    result = manage("check", "--deploy", "--fail-level", "WARNING", env=env)
    assert result.returncode == 0, result.stderr


def test_the_example_names_every_variable_that_is_read() -> None:
    readers = re.compile(r'\b(?:text|flag|number|words|environ\.get)\(\s*"([A-Z_]+)"')
    read = {
        name
        for folder in ("deeploy_site", "apps")
        for path in (ROOT / folder).rglob("*.py")
        for name in readers.findall(path.read_text())
    }
    listed = set(re.findall(r"^([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.M))
    assert listed == read


def test_the_example_holds_the_defaults(tmp_path: Path) -> None:
    """All of it in the environment changes nothing of a start."""
    lines = re.findall(r"^([A-Z_]+)=(.*)$", (ROOT / ".env.example").read_text(), re.M)
    program = (
        "from django.conf import settings as s;"
        "print([getattr(s, n) for n in dir(s) if n.isupper() and n != 'VAR_DIR'])"
    )
    said = [
        subprocess.run(
            [sys.executable, "-c", program],
            cwd=ROOT,
            env=environment(tmp_path, DJANGO_SETTINGS_MODULE="deeploy_site.settings", **given),
            capture_output=True,
            text=True,
        ).stdout
        for given in ({}, dict(lines) | {"VAR_DIR": str(tmp_path)})
    ]
    assert said[0] == said[1] != ""


def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
    return found


def image_command() -> list[str]:
    """The command of the Dockerfile, which is the web process."""
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    (line,) = [line for line in lines if line.startswith("CMD ")]
    return list(yaml.safe_load(line.removeprefix("CMD ")))


def test_compose_runs_the_processes_that_make_run_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOST", "0.0.0.0")
    services = compose()["services"]
    assert set(services) == {"postgres", "prepare", *Options.from_environment().commands}
    for name, command in Options.from_environment().commands.items():
        if name != "web":
            assert services[name]["command"][1:] == ["manage.py", command[-1]]
    web = Options.from_environment().commands["web"]
    assert set(image_command()[1:]) - set(web) == {"8000"} - set(web)


def test_compose_names_only_what_it_defines() -> None:
    found = compose()
    for name, service in found["services"].items():
        for secret in service.get("secrets", []):
            assert secret in found["secrets"], name
        for volume in service.get("volumes", []):
            assert volume.split(":")[0] in found["volumes"], name
        for other in service.get("depends_on", {}):
            assert other in found["services"], name


def test_every_secret_of_compose_comes_from_a_file() -> None:
    for service in compose()["services"].values():
        for name, value in service.get("environment", {}).items():
            if re.search(r"SECRET|PASSWORD|DATABASE_URL", name):
                assert name.endswith("_FILE")
                assert value.startswith("/run/secrets/")


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Message
    text: str


class Installation:
    """The services of compose.yaml as plain processes."""

    def __init__(self, folder: Path, database_url: str) -> None:
        self.port = free_port()
        secrets_ = folder / "given"
        secrets_.mkdir()
        (secrets_ / "secret_key").write_text(GIVEN["SECRET_KEY"])
        (secrets_ / "database_url").write_text(database_url)
        asked = {"ALLOWED_HOSTS": "deeploy.example", "BASE_URL": "https://deeploy.example"}
        given = {
            name: value.replace("/run/secrets", str(secrets_))
            for name, value in compose()["services"]["web"]["environment"].items()
        }
        self.environment = environment(
            folder, **given | asked | {"TRUST_PROXY": "1", "PORT": str(self.port)}
        )
        self.running: list[subprocess.Popen[bytes]] = []

    def run(self, command: list[str]) -> subprocess.Popen[bytes]:
        words = [{"0.0.0.0": "127.0.0.1", "8000": str(self.port)}.get(w, w) for w in command]
        process = subprocess.Popen(
            [str(BIN / words[0]), *words[1:]],
            cwd=ROOT,
            env=self.environment,
            start_new_session=True,
        )
        self.running.append(process)
        return process

    def healthy(self) -> bool:
        command = [sys.executable, "-m", "deeploy_site.healthcheck"]
        return not subprocess.run(
            command, cwd=ROOT, env=self.environment, capture_output=True
        ).returncode

    def get(self, path: str, host: str = "deeploy.example") -> "Answer":
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", path, headers={"Host": host, "X-Forwarded-Proto": "https"})
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read().decode())
        finally:
            connection.close()

    def stop(self) -> list[int]:
        for process in self.running:
            process.send_signal(signal.SIGTERM)
        return [ended(process) for process in self.running]


def ended(process: subprocess.Popen[Any]) -> int:
    """Its exit code; a worker that was told to end while it started may wait for ever."""
    try:
        return process.wait(45)
    except subprocess.TimeoutExpired:
        for child in psutil.Process(process.pid).children(recursive=True):
            child.kill()
        process.kill()
        return process.wait()


@pytest.fixture(scope="module")
def installation() -> Iterator[Installation]:
    folder, database = new_var_dir(), new_var_dir()
    url = embedded_postgres.start(database, durable=False)
    made = Installation(folder, url)
    services = compose()["services"]
    try:
        assert not made.healthy()
        assert made.run(services["prepare"]["command"]).wait(90) == 0
        made.running.clear()
        made.run(image_command())
        for name in ("worker", "controller"):
            made.run(services[name]["command"])
        wait_for(made.healthy, 60, "healthy")
        yield made
    finally:
        made.stop()
        embedded_postgres.stop(database)


@pytest.mark.slow
def test_the_processes_of_compose_run(installation: Installation) -> None:
    assert [process.poll() for process in installation.running] == [None, None, None]
    assert installation.get("/account/login/").status == 200


@pytest.mark.slow
def test_pages_carry_the_headers_that_a_bank_asks_for(installation: Installation) -> None:
    answer = installation.get("/account/login/")
    headers = {name.lower(): value for name, value in answer.headers.items()}
    assert headers["strict-transport-security"] == "max-age=31536000"
    assert headers["x-frame-options"] == "DENY"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    policy = headers["content-security-policy"]
    for directive in ("default-src 'none'", "style-src 'self'", "frame-ancestors 'none'"):
        assert directive in policy
    assert "unsafe" not in policy


@pytest.mark.slow
def test_scripts_carry_the_nonce_of_the_policy_and_it_changes(installation: Installation) -> None:
    seen = set()
    for _ in range(2):
        answer = installation.get("/account/login/")
        nonce = re.search(r"'nonce-([^']+)'", answer.headers["Content-Security-Policy"])
        assert nonce
        seen.add(nonce[1])
        page = answer.text
        tags = [tag for tag in re.findall(r"<script[^>]*>", page) if "application/json" not in tag]
        assert tags
        assert all(f'nonce="{nonce[1]}"' in tag for tag in tags)
        assert not re.search(r"<style|\sstyle=|\son\w+=", page)
    assert len(seen) == 2


@pytest.mark.slow
def test_cookies_travel_over_https_only(installation: Installation) -> None:
    cookies = installation.get("/account/login/").headers.get_all("Set-Cookie") or []
    assert cookies
    for cookie in cookies:
        assert "Secure" in cookie, cookie
        assert "SameSite=Lax" in cookie, cookie


@pytest.mark.slow
def test_another_host_name_is_refused(installation: Installation) -> None:
    assert installation.get("/account/login/", host="evil.example").status == 400


@pytest.mark.slow
def test_static_files_are_served_with_a_long_life(installation: Installation) -> None:
    page = installation.get("/account/login/").text
    address = re.search(r'href="(/static/css/base\.[0-9a-f]+\.css)"', page)
    assert address
    answer = installation.get(address[1])
    assert answer.status == 200
    assert "immutable" in answer.headers["Cache-Control"]

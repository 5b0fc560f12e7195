"""pip of this Python: resolves a list to exact versions, installs one into an environment.

pip, because it honours the organisation's own configuration. By default from wheels alone, so
that no package runs its setup code here; `PACKAGE_SOURCE_BUILDS` names exceptions.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from packaging.utils import canonicalize_name

from apps.deployments.environments import pip_errors
from apps.deployments.environments.build_log import BuildLog
from apps.deployments.environments.commands import run
from apps.deployments.environments.outcome import BuildFailed

_KEPT = ("PATH", "HOME", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_PROXY = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY")
_PIP_NETWORK = ("CERT", "CLIENT_CERT", "PROXY", "TIMEOUT", "DEFAULT_TIMEOUT", "RETRIES",
                "TRUSTED_HOST", "CACHE_DIR", "KEYRING_PROVIDER")  # fmt: skip
_PIP_PLACES = ("INDEX_URL", "EXTRA_INDEX_URL", "FIND_LINKS", "NO_INDEX", "CONFIG_FILE",
               "CONSTRAINT")  # fmt: skip
_HERE_TOO = ("--no-input", "--disable-pip-version-check", "--progress-bar", "off")


@dataclass(frozen=True, slots=True)
class Pin:
    """One package as the resolver chose it; `sha256` of its file, empty where nobody knows."""

    name: str
    version: str
    sha256: str

    def __str__(self) -> str:
        return f"{self.name}=={self.version}"


def resolve(
    lines: list[str],
    *,
    work: Path,
    log: BuildLog,
    cancelled: Callable[[], bool],
    deadline: float | None = None,
) -> list[Pin]:
    """Exact versions for the lines and all that they need; nothing is installed.

    Raises BuildFailed with what cannot be had and why, or BuildCancelled.
    """
    report = work / "report.json"
    wanted = work / "wanted.txt"
    wanted.write_text("\n".join(lines) + "\n")
    log.write(f"Resolving {', '.join(lines)}")
    command = ["--dry-run", "--ignore-installed", "--report", str(report), "-r", str(wanted)]
    _pip([], command, work, log, cancelled, deadline)
    found = json.loads(report.read_text())["install"]
    return [_pin(each) for each in found]


def install(
    requirements: str,
    *,
    interpreter: Path,
    work: Path,
    log: BuildLog,
    cancelled: Callable[[], bool],
    deadline: float,
) -> None:
    """Installs a list into the environment of `interpreter`. Raises as `resolve` does."""
    wanted = work / "requirements.txt"
    wanted.write_text(requirements + "\n")
    command = ["--no-compile", "--no-warn-script-location", "-r", str(wanted)]
    _pip(["--python", str(interpreter)], command, work, log, cancelled, deadline)


def variables(work: Path) -> dict[str, str]:
    """The whole environment of a build: pip's own settings and proxies, no secret of ours.

    Where PACKAGE_INDEX_URL or PACKAGE_WHEELS is set, pip's configuration of other indexes is left
    out: a package must not come from a place that nobody named. PACKAGE_EXTRA_INDEX_URL is asked
    beside the index, whichever that is.
    """
    own = bool(settings.PACKAGE_INDEX_URL or settings.PACKAGE_WHEELS)
    names = [f"PIP_{name}" for name in (_PIP_NETWORK if own else (*_PIP_NETWORK, *_PIP_PLACES))]
    names += [*_KEPT, *_PROXY, *(name.lower() for name in _PROXY)]
    kept = {name: os.environ[name] for name in names if name in os.environ}
    scratch = work / "tmp"
    scratch.mkdir(exist_ok=True)
    kept |= {"LANG": "C.UTF-8", "PYTHONUNBUFFERED": "1", "TMPDIR": str(scratch)}
    kept["PIP_ROOT_USER_ACTION"] = "ignore"
    if own:
        kept["PIP_CONFIG_FILE"] = os.devnull
    if settings.PACKAGE_INDEX_URL:
        kept["PIP_INDEX_URL"] = settings.PACKAGE_INDEX_URL
    if settings.PACKAGE_EXTRA_INDEX_URL:
        others = kept.get("PIP_EXTRA_INDEX_URL", "")
        kept["PIP_EXTRA_INDEX_URL"] = f"{others} {settings.PACKAGE_EXTRA_INDEX_URL}".strip()
    if settings.PACKAGE_WHEELS:
        kept["PIP_FIND_LINKS"] = settings.PACKAGE_WHEELS
        if not settings.PACKAGE_INDEX_URL:
            kept["PIP_NO_INDEX"] = "1"
    if settings.PACKAGE_CA_BUNDLE:
        kept["PIP_CERT"] = settings.PACKAGE_CA_BUNDLE
    return kept


# Plain Python whose setup code does nothing but name its files.
_ONLY_AS_SOURCE = ("lime",)


def formats() -> list[str]:
    """Wheels alone, but for what our own lists need and nobody publishes as a wheel, and what an
    administrator names."""
    named = dict.fromkeys([*_ONLY_AS_SOURCE, *settings.PACKAGE_SOURCE_BUILDS])
    return ["--only-binary", ":all:", "--no-binary", ",".join(named)]


def _pip(
    before: list[str],
    arguments: list[str],
    work: Path,
    log: BuildLog,
    cancelled: Callable[[], bool],
    deadline: float | None,
) -> None:
    limit = deadline or time.monotonic() + settings.ENVIRONMENT_BUILD_SECONDS
    command = [sys.executable, "-m", "pip", *before, "install", *_HERE_TOO, *formats()]
    wanted = Path(arguments[-1]).read_text().splitlines()
    try:
        code, lines = run(
            [*command, *arguments],
            environment=variables(work),
            log=log,
            cancelled=cancelled,
            deadline=limit,
        )
    except BuildFailed as late:
        raise BuildFailed(f"{late}{_of_cuda(wanted, log)}") from None
    if not code:
        return
    problem = pip_errors.explain(pip_errors.with_names(lines, wanted))
    if problem.no_match:
        problem = _why_no_match(problem.no_match, work, cancelled, limit)
    raise BuildFailed(f"{problem.message}{_of_cuda(wanted, log)}", missing=problem.missing)


def _of_cuda(wanted: list[str], log: BuildLog) -> str:
    return pip_errors.of_cuda(wanted, log.path.read_text(errors="replace"))


def _why_no_match(
    requirement: str, work: Path, cancelled: Callable[[], bool], deadline: float
) -> pip_errors.Problem:
    """Asks pip once more, for this package alone, which files it passed over."""
    command = [sys.executable, "-m", "pip", "install", *_HERE_TOO, *formats(), "-vv"]
    command += ["--dry-run", "--no-deps", "--ignore-installed", requirement]
    with BuildLog(work / "why.log") as aside:
        run(
            command,
            environment=variables(work),
            log=aside,
            cancelled=cancelled,
            deadline=deadline,
        )
    lines = (work / "why.log").read_text(errors="replace").splitlines()
    return pip_errors.explain_no_match(requirement, lines)


def _pin(found: dict[str, dict[str, object]]) -> Pin:
    metadata, archive = found["metadata"], found["download_info"].get("archive_info") or {}
    hashes = archive.get("hashes") or {} if isinstance(archive, dict) else {}
    name = canonicalize_name(str(metadata["name"]))
    return Pin(name, str(metadata["version"]), str(hashes.get("sha256", "")))

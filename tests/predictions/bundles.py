"""Bundles made, tampered with, signed anew and checked."""

import base64
import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from apps.audit import verify_bundle
from apps.audit.actor import SYSTEM
from apps.predictions.bundle import export
from apps.predictions.bundle_scope import scope_of

Lines = list[dict[str, Any]]


def exported(path: Path, **scope: Any) -> Path:
    wanted = scope_of(**scope)
    assert wanted is not None
    path.write_bytes(b"".join(export(scope=wanted, by=SYSTEM, now=timezone.now())))
    return path


def verify(path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The file alone, in a Python that sees neither our code nor our packages."""
    command = [sys.executable, "-I", "-S", verify_bundle.__file__, str(path), *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd="/", timeout=60)


def agree_on(path: Path, capsys: pytest.CaptureFixture[str]) -> bool:
    """Whether the log is intact, in a bundle of all and in place; both verifiers must say so."""
    problems = found(exported(path, workspace=None), capsys)
    intact = True
    try:
        call_command("verify", stdout=io.StringIO(), stderr=io.StringIO())
    except CommandError:
        intact = False
    assert (problems == []) == intact
    return intact


def found(path: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    """The problems that the verifier names, without the cost of a process."""
    code = verify_bundle.main([str(path), *arguments])
    problems = [line[2:] for line in capsys.readouterr().err.splitlines() if line[:2] == "  "]
    assert code == (1 if problems else 0)
    return problems


def rewrite(path: Path, changes: dict[str, Callable[[Any], Any]], key: Any = None) -> None:
    """Rewrites parts of a bundle; with a key also signs it anew, with fitting file digests."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    for name, change in changes.items():
        if name.endswith(".jsonl"):
            lines = change([json.loads(line) for line in parts[name].splitlines()])
            parts[name] = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
        else:
            parts[name] = json.dumps(change(json.loads(parts[name]))).encode()
    if key is not None:
        manifest = json.loads(parts["manifest.json"])
        for name in verify_bundle.MEMBERS:
            digest = verify_bundle.hashlib.sha256(parts[name]).hexdigest()
            manifest["files"][name] = {"sha256": digest, "lines": parts[name].count(b"\n")}
        parts["manifest.json"] = json.dumps(manifest).encode()
        pair = {
            "publicKey": base64.b64encode(key.public_key().public_bytes_raw()).decode(),
            "signature": base64.b64encode(key.sign(parts["manifest.json"])).decode(),
        }
        parts["signature.json"] = json.dumps(pair).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)


def swap(lines: Lines) -> Lines:
    lines[1], lines[2] = lines[2], lines[1]
    return lines


def without(number: int) -> Callable[[Lines], Lines]:
    return lambda lines: [line for at, line in enumerate(lines) if at != number]


def cut(lines: Lines) -> Lines:
    return lines[:-1]

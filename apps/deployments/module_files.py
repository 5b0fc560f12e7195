"""Somebody's Python module on its way in: stored, and read without running it.

Code runs as it is written, so no look at it says that it is harmless: every module needs
somebody's answer. What it names beyond plain computing is listed for whoever answers.
"""

import ast
import io
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from apps.accounts.models import Workspace
from apps.core.errors import Invalid
from apps.deployments.environments import lists
from apps.registry import storage
from apps.registry.metadata import checked, parsed
from apps.registry.models import Artifact
from apps.registry.services.intake import Upload, keep

_MOST_BYTES = 20 * 1024**2
_MOST_FILES = 500
_DANGEROUS = {"ctypes", "cffi", "multiprocessing", "pty", "socket", "subprocess"}
_WORTH_A_LOOK = {
    "http", "httpx", "importlib", "marshal", "mmap", "os", "pickle", "requests", "shutil", "signal",
    "sys", "urllib",
}  # fmt: skip
_RUNS_TEXT = {"__import__", "compile", "eval", "exec"}


@dataclass(frozen=True, slots=True)
class Shape:
    """What a module of one kind is: its file's name, which functions count, and what is said where
    it has none of them. `field` is that of the form which asks for it."""

    kind: str
    name: str
    functions: tuple[str, ...]
    missing: str
    field: str

    @property
    def file(self) -> str:
        return f"{self.name}.py"

    def refused(self, why: str) -> Invalid:
        return Invalid(why, [{"field": self.field, "message": why}])


def take(workspace: Workspace, upload: Upload, shape: Shape) -> Artifact:
    """Stores a module of that shape. Raises Invalid where it is none, saying why."""
    stored = storage.store(upload.chunks)
    if stored.size > _MOST_BYTES:
        most = _MOST_BYTES // 1024**2
        raise shape.refused(f"The module of {_with_article(shape.name)} has at most {most} MB.")
    is_zip = zipfile.is_zipfile(stored.path)
    sources = _in_zip(stored.path, shape) if is_zip else {shape.file: stored.path.read_bytes()}
    beside = _beside(stored.path) if is_zip else {}
    trees = {name: _parsed(name, text, shape) for name, text in sources.items()}
    steps = _steps(trees[shape.file], shape)
    if not steps:
        raise shape.refused(shape.missing)
    findings = [found for name, tree in trees.items() for found in _findings(name, tree)]
    scan = _scan(shape.kind, findings, steps, is_zip=is_zip) | beside
    return keep(workspace, stored, upload.filename, scan)


def _with_article(name: str) -> str:
    return f"an {name}" if name[0] in "aeiou" else f"a {name}"


def _scan(
    kind: str, findings: list[dict[str, str]], steps: list[str], *, is_zip: bool
) -> dict[str, Any]:
    levels = {found["level"] for found in findings}
    return {
        "kind": kind,
        "format": "zip" if is_zip else "py",
        "steps": steps,
        "risk": "dangerous" if "dangerous" in levels else "unknown",
        "findings": sorted(findings, key=lambda found: (found["level"], found["what"])),
    }


def _in_zip(path: Path, shape: Shape) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        if len(entries) > _MOST_FILES or sum(e.file_size for e in entries) > 4 * _MOST_BYTES:
            raise shape.refused(
                f"Its zip holds more than {_MOST_FILES} files, or too much in them."
            )
        for entry in entries:
            if entry.filename.startswith("/") or ".." in entry.filename.split("/"):
                raise shape.refused(f"Its zip holds {entry.filename}, which leads out of it.")
        names = [entry.filename for entry in entries if entry.filename.endswith(".py")]
        if shape.file not in names:
            raise shape.refused(f"Its zip has no {shape.file} at its top.")
        try:
            return {name: archive.read(name) for name in names}
        except (RuntimeError, zipfile.BadZipFile, OSError) as error:
            raise shape.refused(f"Its zip cannot be read: {error}.") from None


def _beside(path: Path) -> dict[str, Any]:
    """What the zip says of its packages, and of what callers send. Raises Invalid."""
    found: dict[str, Any] = {}
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        if "requirements.txt" in names:
            found["requirements"] = archive.read("requirements.txt").decode(errors="replace")
            lists.parsed(found["requirements"])
        if "metadata.json" in names:
            found["metadata"] = checked(parsed(archive.read("metadata.json")))
    return found


def _parsed(name: str, text: bytes, shape: Shape) -> ast.Module:
    try:
        return ast.parse(io.BytesIO(text).read(), filename=name)
    except (SyntaxError, ValueError) as error:
        line = f", line {error.lineno}" if isinstance(error, SyntaxError) else ""
        why = error.msg if isinstance(error, SyntaxError) else str(error)
        raise shape.refused(f"{name}{line} is not Python: {why}.") from None
    except RecursionError:
        raise shape.refused(f"{name} is nested too deeply to be read.") from None


def _steps(tree: ast.Module, shape: Shape) -> list[str]:
    """Which functions are defined at the module's top, by def, assignment or import."""
    names: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.ImportFrom | ast.Import):
            names |= {alias.asname or alias.name for alias in node.names}
    return [step for step in shape.functions if step in names]


def _findings(name: str, tree: ast.Module) -> list[dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for node in ast.walk(tree):
        for what in _reached(node):
            level = _level(what)
            where = f"{name}, line {getattr(node, 'lineno', 0)}"
            if level:
                found.setdefault(what, {"level": level, "what": what, "where": where})
    return list(found.values())


def _reached(node: ast.AST) -> list[str]:
    """What a piece of the module imports, or calls to run text."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.module:
        return [f"{node.module}.{alias.name}" for alias in node.names]
    if isinstance(node, ast.Name) and node.id in _RUNS_TEXT:
        return [f"builtins.{node.id}"]
    return []


def _level(what: str) -> str:
    root = what.partition(".")[0]
    if root in _DANGEROUS or root == "builtins":
        return "dangerous"
    return "unknown" if root in _WORTH_A_LOOK else ""

"""Turns what pip says into one sentence on what failed and why, and one on what to do."""

import re
import sys
from dataclasses import dataclass

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

_PYTHON = f"Python {sys.version_info.major}.{sys.version_info.minor}"
_NO_MATCH = re.compile(r"ERROR: No matching distribution found for (.+)")
_CONFLICT = re.compile(r"ERROR: Cannot install (.+) because these package versions have conf")
_CAUSE = re.compile(r"^    (\S+ \S+ depends on .+|The user requested .+)$")
_PLACE = re.compile(r"-r \S+ \(line (\d+)\)")
_REFUSES = re.compile(r"Package '(\S+)' requires a different Python: \S+ not in '([^']+)'")
_SKIPPED = re.compile(r"Skipping link: .*?(https?://\S+|file:\S+)")
_OTHER_PYTHON = re.compile(r"different python version: (.+)")

_TORCH = {"torch", "torchvision", "torchaudio"}
_CUDA = re.compile(r"\b(nvidia|cuda)[-_][\w-]+|\bNo matching distribution found for triton", re.I)

_TLS = ("CERTIFICATE_VERIFY_FAILED", "certificate verify failed", "SSLError")
_AWAY = ("connection broken by", "Failed to establish a new connection", "ConnectTimeoutError",
         "Temporary failure in name resolution", "ReadTimeoutError", "ProxyError",
         "Max retries exceeded")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Problem:
    """`no_match` is the requirement that nothing fits, where pip does not say why; `missing` the
    package of which there is no such release for this Python."""

    message: str
    no_match: str = ""
    missing: str = ""


def of_cuda(wanted: list[str], text: str) -> str:
    """What to do where PyTorch's wheel for CUDA, with all its libraries, is behind a failure."""
    if not any(_name(line) in _TORCH for line in wanted) or not _CUDA.search(text):
        return ""
    return (
        " This is PyTorch's build for CUDA, with gigabytes of NVIDIA's libraries. Where there is "
        "no GPU, set PACKAGE_EXTRA_INDEX_URL to PyTorch's own index of wheels for processors, or "
        "put its wheel into the folder of PACKAGE_WHEELS, and build again."
    )


def with_names(lines: list[str], wanted: list[str]) -> list[str]:
    """The output with the wanted lines themselves where pip names only their place in a file."""

    def named(match: re.Match[str]) -> str:
        number = int(match[1])
        return wanted[number - 1] if 0 < number <= len(wanted) else match[0]

    return [_PLACE.sub(named, line) for line in lines]


def explain(lines: list[str]) -> Problem:
    """The problem in the output of a pip that failed."""
    text = "\n".join(lines)
    if found := _REFUSES.search(text):
        why = f"{found[1]} is not made for {_PYTHON}: it needs Python {found[2]}."
        return Problem(f"{why} Use a release that is.", missing=canonicalize_name(found[1]))
    for reader in (_network, _checksum, _conflict, _disk, _build, _damaged):
        if message := reader(lines, text):
            return Problem(message)
    if found := _NO_MATCH.search(text):
        wanted = found[1].strip()
        return Problem(f"There is no {wanted}.", no_match=wanted.split(" (from")[0])
    last = next((line for line in reversed(lines) if line.startswith("ERROR: ")), "")
    said = last.removeprefix("ERROR: ") or (lines[-1] if lines else "nothing")
    return Problem(f"pip ended without the packages. It said last: {said}")


def explain_no_match(requirement: str, lines: list[str]) -> Problem:
    """Why no file fits `requirement`, from pip's own account of what it passed over (`-vv`)."""
    text = "\n".join(lines)
    if message := _network(lines, text):
        return Problem(message)
    name = _name(requirement)
    known = re.search(r"\(from versions: (.+?)\)", text)
    versions = known[1].split(", ") if known and known[1] != "none" else []
    others = _of_other_pythons(requirement, text)
    newest = f" The newest that does is {name}=={versions[-1]}." if versions else ""
    if others:
        why = f"{requirement} is not made for {_PYTHON}: it {others}.{newest}"
        return Problem(why, missing=name)
    if kinds := _passed_over(requirement, lines):
        if kinds == {"source"}:
            why = (
                f"{requirement} comes only as source code, and packages are not built here. Use "
                "a release with wheels, put a wheel of it into the folder of PACKAGE_WHEELS, or "
                "let an administrator name it in PACKAGE_SOURCE_BUILDS."
            )
        else:
            why = f"{requirement} has no wheel for {_PYTHON} on this machine.{newest}"
        return Problem(why, missing=name)
    if versions:
        why = f"There is no {requirement} for {_PYTHON}; the newest is {versions[-1]}."
    else:
        why = (
            f"No package called {name} was found. Look at its spelling; a package of your own "
            "needs its index in PACKAGE_INDEX_URL or its wheel in PACKAGE_WHEELS."
        )
    return Problem(why, missing=name)


def _network(lines: list[str], text: str) -> str:
    if not _NO_MATCH.search(text) and "Could not" not in text and "HTTPSConnection" not in text:
        return ""
    if any(sign in text for sign in _TLS):
        return (
            "The package index shows a certificate that nobody here vouches for. Behind a proxy "
            "that reads the traffic, set PACKAGE_CA_BUNDLE to its certificate."
        )
    refused = re.search(r"(401|403|407) (?:Client )?Error: ([\w ]+?) for url: (\S+)", text)
    if refused:
        return (
            f"The package index refused us with {refused[1]} ({refused[2]}). Look at the name "
            "and password in PACKAGE_INDEX_URL or in pip's configuration."
        )
    if any(sign in text for sign in _AWAY):
        return (
            "The package index could not be reached. Look at the network, the proxy and "
            "PACKAGE_INDEX_URL; without a network, put wheels into a folder and name it in "
            "PACKAGE_WHEELS."
        )
    return ""


def _checksum(lines: list[str], text: str) -> str:
    if "DO NOT MATCH THE HASHES" not in text:
        return ""
    named = re.search(r"^\s+(\S+) from (\S+?)(?:[#:\s]|$)", text.partition("HASHES")[2], re.M)
    got = re.search(r"Got\s+([0-9a-f]{12})", text)
    what = _package_in(named[1]) if named else "A package"
    return (
        f"{what} does not have the checksum that the index gives for it"
        + (f" (it has {got[1]}…)" if got else "")
        + ". It was damaged or exchanged on its way: ask whoever keeps the index before you retry."
    )


def _conflict(lines: list[str], text: str) -> str:
    found = _CONFLICT.search(text)
    if not found:
        return ""
    causes = [match[1] for line in lines if (match := _CAUSE.match(line))]
    asked = [c.removeprefix("The user requested ") for c in causes if c.startswith("The user")]
    needs = [c for c in causes if not c.startswith("The user")]
    both = [*(f"{each} is asked for" for each in asked), *needs]
    why = f": {', but '.join([', '.join(both[:-1]), both[-1]])}" if len(both) > 1 else ""
    return f"{found[1]} exclude each other{why}. Change one of these versions."


def _disk(lines: list[str], text: str) -> str:
    if "No space left on device" in text or "[Errno 28]" in text:
        return "The disk of VAR_DIR is full. Remove environments that nothing uses, or make room."
    return ""


def _build(lines: list[str], text: str) -> str:
    if "subprocess-exited-with-error" not in text and "Failed building wheel" not in text:
        return ""
    failed = re.search(r"Failed to build (\S+)|Failed building wheel for (\S+)", text)
    name = next((group for group in failed.groups() if group), "") if failed else ""
    what = f"{name} could not" if name else "A package could not"
    return f"{what} be built from its source; the log says why. Use a release with wheels."


def _damaged(lines: list[str], text: str) -> str:
    found = re.search(r"ERROR: (?:Wheel '([^']+)' located at|(\S+) has an invalid wheel)", text)
    if not found:
        return ""
    return (
        f"The wheel of {found[1] or found[2]} is damaged. Put it into the index or the folder "
        "again, and retry."
    )


def _of_other_pythons(requirement: str, text: str) -> str:
    """`needs Python >=3.12` where the wanted release asks for that."""
    try:
        wanted = Requirement(requirement)
    except InvalidRequirement:
        return ""
    for each in (found[1] for found in _OTHER_PYTHON.finditer(text)):
        for version, _, needs in (part.partition(" Requires-Python ") for part in each.split("; ")):
            if wanted.specifier.contains(version.strip(), prereleases=True):
                return f"needs Python {needs.strip()}"
    return ""


def _passed_over(requirement: str, lines: list[str]) -> set[str]:
    """Which kinds of files of exactly that release pip passed over: `wheel`, `source`."""
    pinned = re.search(r"===?\s*([^\s,;*]+)", requirement)
    stem = re.escape(_name(requirement)).replace(r"\-", "[-_.]+")
    version = re.escape(pinned[1]) if pinned else r"\d[^-]*"
    file = re.compile(rf"/{stem}-{version}(-\S+\.whl|\.tar\.\w+|\.zip)", re.I)
    kinds = set()
    for line in lines:
        if _SKIPPED.search(line) and (match := file.search(line)):
            kinds.add("wheel" if match[1].endswith(".whl") else "source")
    return kinds


def _name(requirement: str) -> str:
    try:
        return canonicalize_name(Requirement(requirement).name)
    except InvalidRequirement:
        return requirement


def _package_in(word: str) -> str:
    """A package's name as pip writes it: with its version, or as the address of its file."""
    return word.rpartition("/")[2].partition("#")[0]

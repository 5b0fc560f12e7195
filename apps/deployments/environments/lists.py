"""Which packages a model version needs, as a list that is found again by its digest.

A list is resolved when it names every package with its exact version. One that is not yet (a
version's own requirements, or another release of scikit-learn) has a provisional digest, and the
worker resolves it before it builds: a web request must not wait for a package index.
"""

import hashlib
import re
import sys
from functools import cache
from pathlib import Path

from django.conf import settings
from django.utils import timezone
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from apps.core.errors import Invalid
from apps.deployments.models import Component, Environment
from apps.registry import compatibility
from apps.registry.models import ModelVersion

PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
_OWN = {"sklearn": "scikit-learn", "xgboost": "xgboost"}
OWN_PACKAGES = {"scikit-learn", "xgboost", "xgboost-cpu"}
_OWN_EXTRAS = {"sklearn": ("skops", "joblib"), "xgboost": ("scikit-learn",)}
_NOWHERE = {"custom", "external"}
_RELEASE = re.compile(r"\d+\.\d+(\.\d+)?")
_MOST_LINES = 500
# What a method needs beside the model's own packages; the others need scikit-learn.
_EXPLAINING = {
    "shap.tree": ("shap==0.51.*", "scikit-learn"),
    "shap.interventional": ("shap==0.51.*", "scikit-learn"),
    "lime": ("lime==0.2.0.*", "scikit-learn"),
    "shap.native": (),
    "rules": (),
    "custom": (),
    "integrated_gradients": (),
    "saliency": (),
    "occlusion": (),
}


def environment_for(version: ModelVersion) -> Environment | None:
    """The environment in which a version runs; None where the application's own packages do.

    A version that ran before keeps the list that was resolved then. Raises Invalid where its
    requirements cannot be read.
    """
    if version.framework in _NOWHERE:
        return None
    lines = wanted(version)
    if lines is None:
        return shipped(version.framework) if has_list(version.framework) else None
    if version.requirements.strip():
        resolved = _resolved_before(version)
        return resolved or _found(_named_by(version.requirements), lines, resolved=False)
    name = f"{version.get_framework_display()} {version.framework_version}"
    return _found(name, lines, resolved=False)


def environment_of(requirements: str) -> Environment | None:
    """The environment of a transformer's own packages; None where it names none."""
    if not requirements.strip():
        return None
    lines = combined([str(line) for line in parsed(requirements)])
    known = Component.objects.filter(
        kind=Component.Kind.TRANSFORMER,
        config__requirements=requirements,
        environment__python=PYTHON,
    ).select_related("environment")
    for component in known.order_by("-id")[:20]:
        if component.environment is not None and is_resolved(component.environment):
            return component.environment
    return _found(_named_by(requirements), lines, resolved=False)


def environment_explaining(version: ModelVersion, methods: list[str]) -> Environment | None:
    """The environment in which a version is explained: its own, with what the methods need."""
    own = environment_for(version)
    if own is None:
        return None
    named = {canonicalize_name(each.name) for each in parsed(own.requirements)}
    needs = {line for method in methods for line in _EXPLAINING.get(method, ("scikit-learn",))}
    missing = sorted(n for n in needs if canonicalize_name(Requirement(n).name) not in named)
    if not missing:
        return own
    lines = [*own.requirements.splitlines(), *missing]
    name = f"{own.name}, explained"
    known = Environment.objects.filter(name=name[:80], python=PYTHON).order_by("-id")
    for environment in known[:20]:
        if is_resolved(environment) and _holds(environment, lines):
            return environment
    return _found(name, lines, resolved=False)


def _holds(environment: Environment, lines: list[str]) -> bool:
    """True where an environment has what the lines ask for."""
    pins = {canonicalize_name(p.name): p for p in parsed(environment.requirements)}
    for line in lines:
        wish = Requirement(line)
        pin = pins.get(canonicalize_name(wish.name))
        version = str(pin.specifier).removeprefix("==") if pin else ""
        if not version or not wish.specifier.contains(version, prereleases=True):
            return False
    return True


def wanted(version: ModelVersion) -> list[str] | None:
    """The lines that have to be resolved for a version; None where nothing has to be.

    Its own requirements come first. scikit-learn and XGBoost run in the application's packages
    where these read the file (`compatibility.warning`), else in the release that saved it.
    """
    if version.requirements.strip():
        return combined([str(line) for line in parsed(version.requirements)])
    release = version.framework_version
    if version.framework not in _OWN or not _RELEASE.fullmatch(release):
        return None
    if not compatibility.warning(version.framework, version.format, release):
        return None
    pin = f"=={release}" if release.count(".") == 2 else f"=={release}.*"
    package = _OWN[version.framework]
    if package == "xgboost" and sys.platform != "darwin":
        package = "xgboost-cpu"
    return combined([f"{package}{pin}", *_OWN_EXTRAS[version.framework]])


def shipped(name: str) -> Environment:
    """The environment of a list that comes with the application, such as `pytorch`."""
    return _found(name, pins_of(name), resolved=True)


def has_list(name: str) -> bool:
    return (_folder() / f"{name}.txt").exists()


def pins_of(name: str) -> list[str]:
    """The exact pins of a list that comes with the application."""
    return _lines((_folder() / f"{name}.txt").read_text())


def wishes_of(name: str) -> list[str]:
    """What the list of this name is resolved from, with what the model server needs."""
    return combined(_lines((_folder() / f"{name}.in").read_text()))


def names() -> list[str]:
    """The lists that come with the application."""
    return sorted(path.stem for path in _folder().glob("*.in") if path.stem != "serving")


def combined(lines: list[str]) -> list[str]:
    """The lines with what the model server itself needs, where they do not name it already."""
    named = {canonicalize_name(Requirement(line).name) for line in lines}
    needs = _lines((_folder() / "serving.in").read_text())
    return [*lines, *(n for n in needs if canonicalize_name(Requirement(n).name) not in named)]


def parsed(text: str) -> list[Requirement]:
    """The packages of a requirements.txt. Raises Invalid for what may not stand in it.

    Only names with versions, extras and markers: an option, address or path would let a model
    decide where packages come from. Checksums are read by `checksums`.
    """
    found, errors = [], []
    for number, line in _numbered(text):
        line = re.split(r"\s--hash[= ]", line)[0].strip()
        try:
            requirement = Requirement(line)
        except InvalidRequirement:
            errors.append((number, f"{line[:60]} is no package with a version"))
            continue
        if requirement.url:
            errors.append((number, f"{line[:60]} is an address; packages come from the index"))
        found.append(requirement)
    if len(found) > _MOST_LINES:
        errors.append((_MOST_LINES + 1, f"more than {_MOST_LINES} packages"))
    if errors:
        fields = [{"field": "requirements", "message": f"line {n}: {what}"} for n, what in errors]
        raise Invalid(f"The requirements cannot be used, {fields[0]['message']}.", fields)
    return found


def checksums(text: str) -> dict[str, set[str]]:
    """The SHA-256 sums that a requirements.txt gives, by package; empty where it gives none."""
    sums: dict[str, set[str]] = {}
    for _, line in _numbered(text):
        hashes = re.findall(r"--hash[= ]sha256:([0-9a-f]{64})", line)
        if hashes:
            name = canonicalize_name(Requirement(re.split(r"\s--hash[= ]", line)[0].strip()).name)
            sums[name] = set(hashes)
    return sums


def canonical(pins: list[str]) -> str:
    """One `name==version` a line, in order of name."""
    return "\n".join(sorted(set(pins), key=str.lower))


def digest_of(python: str, requirements: str, *, resolved: bool = True) -> str:
    """SHA-256 of a list with its Python; one that is not resolved never meets one that is."""
    head = f"python {python}\n" if resolved else f"unresolved, python {python}\n"
    return hashlib.sha256(f"{head}{requirements}".encode()).hexdigest()


def is_resolved(environment: Environment) -> bool:
    """True where the digest is that of the list: every package has its exact version."""
    return environment.digest == digest_of(environment.python, environment.requirements)


def _found(name: str, lines: list[str], *, resolved: bool) -> Environment:
    requirements = canonical(lines)
    digest = digest_of(PYTHON, requirements, resolved=resolved)
    environment, _ = Environment.objects.get_or_create(
        digest=digest,
        defaults={
            "name": name[:80],
            "python": PYTHON,
            "requirements": requirements,
            "last_used_at": timezone.now(),
        },
    )
    return environment


def _named_by(requirements: str) -> str:
    """A name that tells of the packages alone: an environment may serve several workspaces."""
    names = [each.name for each in parsed(requirements)]
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"{', '.join(names[:3])}{more}"


def _resolved_before(version: ModelVersion) -> Environment | None:
    components = Component.objects.filter(
        model_version=version, environment__python=PYTHON
    ).select_related("environment")
    for component in components.order_by("-id")[:20]:
        if component.environment is not None and is_resolved(component.environment):
            return component.environment
    return None


def _numbered(text: str) -> list[tuple[int, str]]:
    """Lines with their numbers, continued ones joined, without comments and empty ones."""
    joined, start, lines = "", 0, []
    for number, raw in enumerate(text.splitlines(), 1):
        line = re.sub(r"(^|\s)#.*$", "", raw).strip()
        start = start or number
        joined = f"{joined} {line.removesuffix(chr(92)).strip()}".strip()
        if line.endswith("\\"):
            continue
        if joined:
            lines.append((start, joined))
        joined, start = "", 0
    return [*lines, (start, joined)] if joined else lines


def _lines(text: str) -> list[str]:
    return [line for _, line in _numbered(text)]


@cache
def _folder() -> Path:
    return Path(settings.BASE_DIR) / "apps" / "serving" / "environments"

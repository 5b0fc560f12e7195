"""What an image is made from: Dockerfiles, pip's configuration, wheels, the server's code."""

import io
import tarfile
from pathlib import Path
from urllib.request import getproxies

from django.conf import settings
from packaging.utils import canonicalize_name, parse_wheel_filename

from apps.deployments.environments import pip

BUILD = "deeploy.build"


def environment(requirements: str, mark: str, labels: dict[str, str]) -> dict[str, bytes]:
    """The files of a build whose image has the packages; its steps carry `mark` as a label."""
    files = {
        "Dockerfile": _environment_dockerfile(mark, labels).encode(),
        "requirements.txt": requirements.encode(),
        "pip.conf": _pip_configuration().encode(),
        "wheels/none": b"",
    }
    if settings.PACKAGE_CA_BUNDLE:
        files["ca.pem"] = Path(settings.PACKAGE_CA_BUNDLE).read_bytes()
    for path in _wheels(requirements):
        files[f"wheels/{path.name}"] = path.read_bytes()
    return files


def _wheels(requirements: str) -> list[Path]:
    """The files of the wheel folder that the list asks for."""
    if not settings.PACKAGE_WHEELS:
        return []
    wanted = {canonicalize_name(line.partition("==")[0]) for line in requirements.splitlines()}
    folder = Path(settings.PACKAGE_WHEELS)
    return [path for path in folder.glob("*.whl") if parse_wheel_filename(path.name)[0] in wanted]


def _pip_configuration() -> str:
    lines = ["[global]", "no-input = true", "disable-pip-version-check = true", "timeout = 60"]
    if settings.PACKAGE_CA_BUNDLE:
        lines.append("cert = /etc/deeploy/ca.pem")
    if settings.PACKAGE_INDEX_URL:
        lines.append(f"index-url = {settings.PACKAGE_INDEX_URL}")
    if settings.PACKAGE_EXTRA_INDEX_URL:
        lines.append(f"extra-index-url = {settings.PACKAGE_EXTRA_INDEX_URL}")
    if settings.PACKAGE_WHEELS:
        lines.append("find-links = /etc/deeploy/wheels")
        lines += [] if settings.PACKAGE_INDEX_URL else ["no-index = true"]
    return "\n".join(lines) + "\n"


def _environment_dockerfile(mark: str, labels: dict[str, str]) -> str:
    """Two stages where the first sees what may not stay; one, which is faster, where not."""
    base = settings.DOCKER_BASE_IMAGE
    indexes = f"{settings.PACKAGE_INDEX_URL}{settings.PACKAGE_EXTRA_INDEX_URL}"
    confidential = "@" in indexes or settings.PACKAGE_WHEELS
    last = f"""FROM {base}
LABEL {_label_line(labels)}
COPY --from=build /opt/environment /opt/environment
"""
    return f"""FROM {base} AS build
LABEL {BUILD}={mark} {_label_line(labels)}
COPY . /etc/deeploy/
ENV PIP_CONFIG_FILE=/etc/deeploy/pip.conf
RUN python3 -m venv /opt/environment && /opt/environment/bin/python -m pip install \
 --no-cache-dir --progress-bar off {" ".join(pip.formats())} -r /etc/deeploy/requirements.txt
{last if confidential else ""}"""


def _server_dockerfile(base: str, labels: dict[str, str]) -> str:
    return f"""FROM {base}
LABEL {_label_line(labels)}
COPY apps /opt/deeploy/apps
RUN /opt/environment/bin/python -m compileall -q /opt/deeploy && mkdir -m 1777 /fetched
ENV PYTHONPATH=/opt/deeploy PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /opt/deeploy
USER 10001:10001
ENTRYPOINT ["/opt/environment/bin/python", "-m", "apps.serving"]
CMD ["--spec", "/etc/deeploy/spec.json"]
"""


def _label_line(labels: dict[str, str]) -> str:
    return " ".join(f'{name}="{value}"' for name, value in sorted(labels.items()))


def server(base: str, code: dict[str, bytes], labels: dict[str, str]) -> dict[str, bytes]:
    """The files of a build that puts the model server's code on an image with packages."""
    return code | {"Dockerfile": _server_dockerfile(base, labels).encode()}


def serving_code() -> dict[str, bytes]:
    """The model server's modules by their path."""
    root = Path(settings.BASE_DIR)
    paths = (p for p in (root / "apps" / "serving").rglob("*.py") if p.is_file())
    files = {str(path.relative_to(root)): path.read_bytes() for path in paths}
    return files | {"apps/__init__.py": b""}


def context(files: dict[str, bytes]) -> bytes:
    """A build context: plain files, readable by all, without times so that layers are reused."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as archive:
        for name, content in sorted(files.items()):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o644
            archive.addfile(entry, io.BytesIO(content))
    return target.getvalue()


def proxies() -> dict[str, str]:
    """The proxies of this process, which a build needs to reach an index from the inside."""
    return {f"{kind}_proxy": url for kind, url in getproxies().items()}

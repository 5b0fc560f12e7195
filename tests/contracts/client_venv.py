"""Makes environments of their own, once, for the clients of others that tests drive.

The official Python client pins packages that ours would contradict, and runs on Python 3.10 to
3.12 only; Triton's brings gevent. Run this file to make the environments ahead of time; tests make
them when they are missing.
"""

import shutil
import subprocess
import sys
from pathlib import Path

CLIENT = "deeploy==1.66.0"
TRITON = "tritonclient[http]==2.73.0"
_ROOT = Path(__file__).resolve().parent.parent.parent
_FOLDERS = {CLIENT: _ROOT / ".venv-client", TRITON: _ROOT / ".venv-triton"}


def python_with(package: str) -> Path:
    """The Python of the environment that has the package. Raises CalledProcessError."""
    folder = _FOLDERS[package]
    python, stamp = folder / "bin" / "python", folder / f".has-{package}"
    if not stamp.exists():
        subprocess.run([_base(), "-m", "venv", "--clear", str(folder)], check=True)
        quiet = ["--quiet", "--disable-pip-version-check"]
        subprocess.run([str(python), "-m", "pip", "install", *quiet, package], check=True)
        stamp.touch()
    return python


def _base() -> str:
    """A Python that the clients allow."""
    if (3, 10) <= sys.version_info[:2] < (3, 13):
        return sys.executable
    names = ("python3.12", "python3.11", "python3.10")
    found = next((path for name in names if (path := shutil.which(name))), None)
    if found is None:
        raise RuntimeError("The clients need Python 3.10, 3.11 or 3.12.")
    return found


if __name__ == "__main__":
    for each in _FOLDERS:
        python_with(each)

"""Tells whether the installed framework reads what another version of it saved."""

import importlib.metadata
from functools import cache
from pathlib import Path

from django.conf import settings

_PACKAGES = {"sklearn": ("scikit-learn",), "xgboost": ("xgboost-cpu", "xgboost")}
_PINNED = {
    "pytorch": ("torch",),
    "tensorflow": ("tensorflow-cpu", "tensorflow"),
    "catboost": ("catboost",),
    "mlflow": ("mlflow-skinny",),
}
_NAMES = {
    "sklearn": "scikit-learn",
    "xgboost": "XGBoost",
    "pytorch": "PyTorch",
    "tensorflow": "TensorFlow",
    "catboost": "CatBoost",
    "mlflow": "MLflow",
}


def installed(framework: str) -> str:
    """The version of the framework that model servers use; empty where nobody knows it."""
    if framework in _PINNED:
        return _pinned(framework)
    for package in _PACKAGES.get(framework, ()):
        try:
            return importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return ""


def warning(framework: str, format_: str, saved_with: str) -> str:
    """Why a file may not load, or load differently, in one sentence; empty where all is well.

    Formats that are no pickles are read from every older version; scikit-learn promises it for
    none.
    """
    here = installed(framework)
    saved, running = _minor(saved_with), _minor(here)
    if not saved or not running or saved == running:
        return ""
    name = _NAMES[framework]
    if saved > running:
        return (
            f"Saved with {name} {saved_with}, newer than the {here} that serves it here: "
            "it may not load. The deployment tries it before any traffic goes there."
        )
    if framework in _PINNED or format_.startswith("xgboost-"):
        return ""
    return (
        f"Saved with {name} {saved_with}; it is served with {here}. It may load and differ: "
        "compare its answers, or save it again with the newer version."
    )


@cache
def _pinned(framework: str) -> str:
    """The version in the list of packages that comes with the application."""
    folder = Path(settings.BASE_DIR) / "apps" / "serving" / "environments"
    pins = (folder / f"{framework}.txt").read_text().splitlines()
    versions = dict(pin.split("==") for pin in pins if "==" in pin)
    return next((versions[name] for name in _PINNED[framework] if name in versions), "")


def _minor(version: str) -> tuple[int, ...]:
    parts = version.split(".")[:2]
    return tuple(int(part) for part in parts) if all(part.isdigit() for part in parts) else ()

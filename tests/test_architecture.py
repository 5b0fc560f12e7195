"""The layers hold, in imports and in foreign keys, and a planted violation is found."""

import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from django.apps import apps
from django.db.models import ForeignKey, Model

ROOT = Path(__file__).resolve().parent.parent
LAYERS = [
    "core",
    "audit",
    "accounts",
    "registry",
    "deployments",
    "predictions",
    "feedback",
    "monitoring",
    "explanations",
    "dashboard",
]


def upward_keys(models: Iterable[type[Model]]) -> list[str]:
    """Foreign keys from a lower layer to a higher one."""
    return [
        f"{model.__name__}.{field.name}"
        for model in models
        for field in model._meta.get_fields()
        if isinstance(field, ForeignKey)
        and model._meta.app_label in LAYERS
        and field.related_model._meta.app_label in LAYERS
        and LAYERS.index(field.related_model._meta.app_label) > LAYERS.index(model._meta.app_label)
    ]


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


def test_foreign_keys_point_down() -> None:
    assert upward_keys(apps.get_models()) == []


def test_a_planted_upward_key_is_found() -> None:
    class Planted:
        __name__ = "Planted"

        class _meta:
            app_label = "audit"

            @staticmethod
            def get_fields() -> list[ForeignKey]:
                key = apps.get_model("registry", "ModelVersion")._meta.get_field("model")
                return [key]

    assert upward_keys([Planted()]) == ["Planted.model"]


def test_a_planted_upward_import_is_found(tmp_path: Path) -> None:
    for name in ("apps", "deeploy_site"):
        shutil.copytree(ROOT / name, tmp_path / name)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    assert lint(tmp_path).returncode == 0
    planted = tmp_path / "apps" / "core" / "ids.py"
    planted.write_text(planted.read_text() + "\nimport apps.registry.models\n")
    result = lint(tmp_path)
    assert result.returncode == 1
    assert "apps.core.ids -> apps.registry.models" in result.stdout


def test_no_module_is_a_drawer_for_everything() -> None:
    drawers = {"utils.py", "helpers.py", "common.py", "manager.py"}
    assert [path for path in (ROOT / "apps").rglob("*.py") if path.name in drawers] == []

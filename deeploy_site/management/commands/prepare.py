"""Brings the database and the static files up to date; does nothing where nothing changed."""

import hashlib
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.staticfiles.finders import get_finders
from django.core.management import call_command
from django.core.management.base import BaseCommand
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from apps.dashboard import schedules
from deeploy_site.up.console import step

# Files of packages that no page of ours asks for.
_UNUSED = ["redoc", "rest_framework"]


class Command(BaseCommand):
    """With `--mark-empty FILE`, makes FILE when the database holds no user yet."""

    help = "Migrates, makes the cache table, collects static files; quick when nothing changed."

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("--mark-empty", type=Path)

    def handle(self, *args: Any, **options: Any) -> None:
        executor = MigrationExecutor(connection)
        if executor.migration_plan(executor.loader.graph.leaf_nodes()):
            with step("Updating the database's tables"):
                call_command("migrate", verbosity=0, interactive=False)
        call_command("createcachetable", verbosity=0)
        schedules.ensure()
        self._collect()
        mark = options["mark_empty"]
        if mark is not None and not get_user_model().objects.exists():
            mark.touch()

    def _collect(self) -> None:
        if settings.WHITENOISE_USE_FINDERS:
            return
        kept = settings.VAR_DIR / "run" / "static.fingerprint"
        wanted = _fingerprint()
        if kept.exists() and kept.read_text() == wanted and settings.STATIC_ROOT.is_dir():
            return
        with step("Collecting static files"):
            options = {"interactive": False, "clear": True, "ignore_patterns": _UNUSED}
            call_command("collectstatic", verbosity=0, **options)
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(wanted)


def _fingerprint() -> str:
    """Changes when a static file is added, removed or written."""
    digest = hashlib.sha256(str(settings.STATIC_ROOT).encode())
    for finder in get_finders():
        for name, storage in sorted(finder.list(_UNUSED), key=lambda found: found[0]):
            state = Path(storage.path(name)).stat()
            digest.update(f"{name} {state.st_size} {state.st_mtime_ns}\n".encode())
    return digest.hexdigest()

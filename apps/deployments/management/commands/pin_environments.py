"""Writes the pinned lists of apps/serving/environments from their wishes."""

import tempfile
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.deployments.environments import lists, pip
from apps.deployments.environments.build_log import BuildLog
from apps.deployments.environments.outcome import BuildFailed


class Command(BaseCommand):
    """`manage.py pin_environments [name …]`; all of them without a name."""

    help = __doc__
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("names", nargs="*", metavar="name", choices=[[], *lists.names()])

    def handle(self, *args: Any, **options: Any) -> None:
        for name in options["names"] or lists.names():
            pins = self._resolved(name)
            path = Path(settings.BASE_DIR) / "apps" / "serving" / "environments" / f"{name}.txt"
            head = f"# Made by `manage.py pin_environments {name}` from {name}.in and serving.in.\n"
            path.write_text(f"{head}{lists.canonical(pins)}\n")
            self.stdout.write(f"{name}: {len(pins)} packages")

    def _resolved(self, name: str) -> list[str]:
        """The pins without local versions: `torch==2.13.0` is any build of that release."""
        with tempfile.TemporaryDirectory() as folder:
            work = Path(folder)
            with BuildLog(work / "log") as log:
                try:
                    pins = pip.resolve(
                        lists.wishes_of(name), work=work, log=log, cancelled=lambda: False
                    )
                except BuildFailed as error:
                    raise CommandError(f"{name}: {error}") from None
        return [f"{pin.name}=={pin.version.partition('+')[0]}" for pin in pins]

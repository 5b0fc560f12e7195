"""`manage.py export_bundle`: the record as a file that `verify_bundle.py` checks anywhere."""

from argparse import ArgumentParser
from datetime import datetime
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime

from apps.accounts.models import Workspace
from apps.audit.actor import SYSTEM
from apps.predictions.bundle import Scope, export
from apps.predictions.bundle_scope import scope_of


class Command(BaseCommand):
    """Writes a bundle of everything, of a workspace, or of a deployment."""

    help = "Exports events, seals and records as a bundle for the stand-alone verifier."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--out", required=True, type=Path)
        parser.add_argument("--workspace", help="slug; without it the whole record")
        parser.add_argument("--deployment", help="slug or id; needs --workspace")
        parser.add_argument("--since", help="a date or time in ISO form, in UTC")

    def handle(self, *args: Any, **options: Any) -> None:
        scope = self._scope(options)
        out: Path = options["out"]
        unfinished = out.with_name(f"{out.name}.partial")
        size = 0
        with unfinished.open("wb") as file:
            for chunk in export(scope=scope, by=SYSTEM, now=timezone.now()):
                size += file.write(chunk)
        unfinished.replace(out)
        self.stdout.write(f"{out}: a bundle of {scope.name}, {size:,} bytes")

    def _scope(self, options: dict[str, Any]) -> Scope:
        if options["deployment"] and not options["workspace"]:
            raise CommandError("--deployment needs --workspace: say where the deployment is.")
        workspace = None
        if options["workspace"]:
            workspace = Workspace.objects.filter(slug=options["workspace"]).first()
            if workspace is None:
                raise CommandError(f"There is no workspace {options['workspace']}.")
        scope = scope_of(
            workspace=workspace,
            deployment=options["deployment"] or "",
            since=_moment(options["since"]),
        )
        if scope is None:
            raise CommandError(f"There is no deployment {options['deployment']} in {workspace}.")
        return scope


def _moment(text: str | None) -> datetime | None:
    if not text:
        return None
    try:
        day = parse_date(text)
        moment = datetime.combine(day, datetime.min.time()) if day else parse_datetime(text)
    except ValueError:
        moment = None
    if moment is None:
        raise CommandError(f"--since {text} is no date; write 2026-11-01 or 2026-11-01T08:00.")
    return moment if moment.tzinfo else timezone.make_aware(moment)

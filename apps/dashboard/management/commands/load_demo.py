"""`manage.py load_demo`: the demo workspace, once. Its sign-in stands in VAR_DIR/demo.json."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from apps.dashboard import demo


class Command(BaseCommand):
    """Does nothing where the demo was loaded before."""

    help = "Trains, registers and deploys the demo models, and replays held-out applications."

    def handle(self, *args: Any, **options: Any) -> None:
        path = demo.load(base_url=settings.BASE_URL)
        self.stdout.write(f"The demo's sign-in stands in {path}")

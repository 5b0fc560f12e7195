"""What the worker does for the log."""

from django.utils import timezone

from apps.predictions import partitions


def make_partitions() -> list[str]:
    """Prepares the coming months."""
    return partitions.ensure(now=timezone.now())

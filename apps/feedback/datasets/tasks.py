"""What the worker does for data sets."""

from uuid import UUID

from django.utils import timezone

from apps.feedback.datasets import services
from apps.feedback.datasets.writing import write_dataset


def write(identifier: str) -> str:
    """Writes the data set that was asked for."""
    return write_dataset(identifier=UUID(identifier), now=timezone.now())


def tidy() -> int:
    """Removes files that nothing refers to."""
    return services.tidy(now=timezone.now())

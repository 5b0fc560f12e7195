"""What the worker does for the registry."""

from uuid import UUID

from django.utils import timezone

from apps.registry import services
from apps.registry.imports import performing
from apps.registry.imports import services as imports


def tidy() -> None:
    """Discards uploads that were left lying, and files that nothing uses; once a day is enough."""
    services.tidy(now=timezone.now())


def perform_import(import_id: str) -> str:
    """Carries out one import; nothing where it is done, cancelled or under way elsewhere."""
    return performing.perform(UUID(import_id))


def recover_imports() -> int:
    """Fails the imports whose worker died, so that people can try again."""
    return imports.recover_imports(now=timezone.now())

"""What the worker does for deployments."""

from uuid import UUID

from django.utils import timezone

from apps.deployments.backends.base import BackendError
from apps.deployments.backends.images import ImageBuilder
from apps.deployments.environments import builds, performing
from apps.deployments.models import EnvironmentBuild
from apps.deployments.reconcile import leftovers


def build_environment(build_id: str) -> str:
    """Builds one environment; nothing where it is built, cancelled or under way elsewhere.

    Delivered again while it runs (a build may take longer than the queue waits), it does nothing.
    """
    return performing.perform(UUID(build_id))


def collect_environments() -> int:
    """Removes environments that nothing uses any more; once a day is enough."""
    removed = builds.collect(now=timezone.now())
    return removed + sweep_images()


def sweep_images() -> int:
    """Removes images that an earlier release or a removed environment left in the engine."""
    living = EnvironmentBuild.objects.filter(kind=EnvironmentBuild.Kind.IMAGE).exclude(location="")
    try:
        return ImageBuilder().sweep(set(living.values_list("location", flat=True)))
    except BackendError:
        return 0  # without an engine there is nothing to sweep


def remove_old_replicas() -> int:
    """Removes what processes that ended long ago left on disk; once a day is enough."""
    return leftovers.remove_old_directories(now=timezone.now())

"""Where model versions run: what the registry asks through `settings.MODEL_USES`."""

from uuid import UUID

from apps.deployments.models import Component, Deployment, Revision
from apps.registry.selectors import Use


def uses_of_versions(version_ids: list[UUID]) -> list[Use]:
    """The revisions that run or ran one of the versions, newest first."""
    components = (
        Component.objects.filter(model_version_id__in=version_ids)
        .select_related("revision__deployment")
        .order_by("-revision_id")
    )
    return [
        Use(
            version_id=component.model_version_id or version_ids[0],
            deployment=component.revision.deployment.name,
            deployment_slug=component.revision.deployment.slug,
            revision=component.revision.number,
            is_live=_is_live(component.revision),
        )
        for component in components
    ]


def _is_live(revision: Revision) -> bool:
    running = revision.deployment.desired == Deployment.Desired.RUNNING
    return running and revision.state == Revision.State.ACTIVE

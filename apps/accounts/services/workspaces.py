"""Changes to workspaces."""

from django.db import transaction
from django.db.models import Q
from django.utils.text import slugify

from apps.accounts.models import Workspace
from apps.audit import services as audit
from apps.audit.actor import Actor
from apps.core.errors import Conflict, Invalid


@transaction.atomic
def create_workspace(*, name: str, by: Actor, description: str = "") -> Workspace:
    """Raises Conflict where a workspace of that name is there."""
    slug = slugify(name)[:60]
    if not slug:
        raise Invalid("A workspace needs a name with at least one letter or digit.")
    if Workspace.objects.filter(Q(slug=slug) | Q(name__iexact=name)).exists():
        raise Conflict(f"There is a workspace called {name} already; choose another name.")
    workspace = Workspace.objects.create(name=name, slug=slug, description=description)
    audit.record(
        name="workspace.created",
        by=by,
        workspace_id=workspace.id,
        object_type="workspace",
        object_id=workspace.id,
        object_name=name,
    )
    return workspace


@transaction.atomic
def change_workspace(*, workspace: Workspace, name: str, description: str, by: Actor) -> None:
    """Renames and describes; the slug, and with it every address, stays.

    Raises Conflict where another workspace has the name.
    """
    taken = Workspace.objects.filter(name__iexact=name).exclude(pk=workspace.pk)
    if taken.exists():
        raise Conflict(f"There is a workspace called {name} already; choose another name.")
    before = {"name": workspace.name, "description": workspace.description}
    after = {"name": name, "description": description}
    changed = {key: [before[key], after[key]] for key in after if before[key] != after[key]}
    if not changed:
        return
    workspace.name, workspace.description = name, description
    workspace.save(update_fields=["name", "description"])
    audit.record(
        name="workspace.changed",
        by=by,
        workspace_id=workspace.id,
        object_type="workspace",
        object_id=workspace.id,
        object_name=name,
        data=changed,
    )

"""The page of a workspace's Git repositories."""

from uuid import UUID

from django.contrib import messages
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from apps.accounts.access import require, workspace_for
from apps.core.errors import DomainError
from apps.registry.forms import show_refusal
from apps.registry.imports import services
from apps.registry.selectors import find_repository, repositories_of
from apps.registry.source_forms import RepositoryForm


@require_http_methods(["GET", "POST"])
def repository_list(request, workspace_slug):
    """Lists repositories, and takes a new one."""
    workspace = workspace_for(request, workspace_slug)
    writes = request.method == "POST"
    require(request.user, "credential.manage" if writes else "workspace.view", workspace)
    form = RepositoryForm(request.POST or None, workspace=workspace)
    if writes and form.is_valid():
        try:
            made = services.create_repository(
                workspace=workspace, by=request.user, **form.cleaned_data
            )
        except DomainError as error:
            show_refusal(form, error)
        else:
            messages.success(request, f"{made} is in the list.")
            return redirect("registry:repositories", workspace.slug)
    context = {
        "form": form,
        "repositories": repositories_of(workspace),
        "section": "members",
        "tab": "repositories",
    }
    status = 400 if form.errors else 200
    return render(request, "registry/repositories/list.html", context, status=status)


@require_POST
def delete(request, workspace_slug, identifier: UUID):
    workspace = workspace_for(request, workspace_slug)
    require(request.user, "credential.manage", workspace)
    found = find_repository(workspace, identifier)
    services.delete_repository(repository=found, by=request.user.actor)
    messages.success(request, f"{found} was removed. Versions that came from it stay.")
    return redirect("registry:repositories", workspace.slug)

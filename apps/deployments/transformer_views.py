"""Uploading a transformer's module on the way through a form."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from apps.accounts.access import require, workspace_for
from apps.core.errors import DomainError
from apps.deployments.transformer_files import take_module, transformers_in
from apps.deployments.transformer_forms import ModuleForm
from apps.deployments.way_back import way_back
from apps.registry.services import Upload


@require_http_methods(["GET", "POST"])
def upload(request: HttpRequest, workspace_slug: str) -> HttpResponse:
    """Takes a module and goes back to the form that needs it, with what was said there.

    The query holds that: the flow's own, or `for`, the deployment that gets a new revision.
    """
    workspace = workspace_for(request, workspace_slug)
    require(request.user, "deployment.create", workspace)
    form = ModuleForm(request.POST or None, request.FILES or None)
    if request.method == "POST" and form.is_valid():
        file = form.cleaned_data["transformer_file"]
        try:
            artifact = take_module(workspace, Upload(file.name, file.chunks()))
        except DomainError as error:
            form.add_error("transformer_file", error.message)
        else:
            return redirect(
                way_back(
                    request,
                    workspace_slug,
                    step="transformer",
                    field="transformer",
                    artifact=str(artifact.id),
                )
            )
    context = {
        "form": form,
        "modules": transformers_in(workspace)[:20],
        "back": way_back(request, workspace_slug, step="transformer", field="transformer"),
        "section": "deployments",
    }
    status = 400 if form.errors else 200
    return render(request, "deployments/transformer_new.html", context, status=status)

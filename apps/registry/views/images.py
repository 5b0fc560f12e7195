"""A version that is a container image: one page, since there is no file to look into first."""

from django.contrib import messages
from django.db import transaction
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods

from apps.accounts.access import require, workspace_for
from apps.core.errors import DomainError
from apps.registry import services
from apps.registry.forms import show_refusal
from apps.registry.image_form import ImageForm
from apps.registry.selectors import find_model
from apps.registry.services import Upload
from apps.registry.views.frame import show
from apps.registry.views.source_tabs import tabs


@require_http_methods(["GET", "POST"])
def add_image(request, workspace_slug, model_slug=None):
    workspace = workspace_for(request, workspace_slug)
    require(request.user, "model.create", workspace)
    model = find_model(workspace, model_slug) if model_slug else None
    last = model.versions.filter(framework="custom").first() if model else None
    form = ImageForm(
        workspace, model, request.POST or None, request.FILES or None,
        initial=ImageForm.initial_of(last),
    )  # fmt: skip
    if request.method == "POST" and form.is_valid():
        try:
            version = _made(request, workspace, model, form.cleaned_data)
        except DomainError as error:
            show_refusal(form, error)
        else:
            messages.success(request, f"{version} is in the registry.")
            return redirect(
                "registry:version_detail", workspace.slug, version.model.slug, version.number
            )
    context = {"form": form, "model": model, "tabs": tabs(workspace, model, "image")}
    return show(request, "registry/image.html", context, status=400 if form.errors else 200)


@transaction.atomic
def _made(request, workspace, model, data):
    """The version, and its model where that is new; both or neither."""
    model = model or services.create_model(workspace=workspace, name=data["name"], by=request.user)
    sample = data["sample"]
    return services.add_image_version(
        model=model,
        image=data["image"],
        port=data["port"],
        readiness_path=data["readinessPath"],
        credential=data["credential"],
        metadata=data["metadata"],
        sample=Upload(sample.name, sample.chunks()) if sample else None,
        target=data["target"],
        notes=data["notes"],
        by=request.user,
    )

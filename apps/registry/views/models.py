"""Pages of models."""

from django.contrib import messages
from django.core.paginator import Paginator
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from django.views.decorators.vary import vary_on_headers

from apps.accounts.access import require, workspace_for
from apps.core.errors import DomainError
from apps.registry import cards, services
from apps.registry.forms import ModelForm, show_refusal
from apps.registry.selectors import drafts_of, find_model, models_of, uses_of, versions_of
from apps.registry.views.frame import show

_PER_PAGE = 50


@require_GET
@vary_on_headers("HX-Request")
def model_list(request, workspace_slug):
    workspace = workspace_for(request, workspace_slug)
    require(request.user, "workspace.view", workspace)
    search = request.GET.get("q", "").replace("\x00", "").strip()
    page = Paginator(models_of(workspace, search), _PER_PAGE).get_page(request.GET.get("page"))
    shown = list(page)
    uses = [u for u in uses_of(v for m in shown for v in m.versions.all()) if u.is_live]
    rows = []
    for model in shown:
        ids = {version.id for version in model.versions.all()}
        live = list({u.deployment_slug: u for u in uses if u.version_id in ids}.values())
        rows.append(
            {"model": model, "newest": next(iter(model.versions.all()), None), "live": live}
        )
    context = {"rows": rows, "page": page, "sought": search}
    if request.htmx and not request.htmx.boosted:
        return render(request, "registry/_rows.html", context)
    context["drafts"] = drafts_of(request.user, workspace)
    return show(request, "registry/model_list.html", context)


@require_GET
def model_detail(request, workspace_slug, model_slug):
    workspace = workspace_for(request, workspace_slug)
    require(request.user, "workspace.view", workspace)
    model = find_model(workspace, model_slug)
    versions = list(versions_of(model))
    uses = [use for use in uses_of(versions) if use.is_live]
    rows = [
        {"version": version, "live": [use for use in uses if use.version_id == version.id]}
        for version in versions
    ]
    context = {
        "model": model,
        "rows": rows,
        "newest": versions[0] if versions else None,
        "model_card": cards.render(versions[0].model_card) if versions else "",
        "drafts": drafts_of(request.user, workspace).filter(model=model),
    }
    return show(request, "registry/model_detail.html", context)


@require_http_methods(["GET", "POST"])
def model_edit(request, workspace_slug, model_slug):
    workspace = workspace_for(request, workspace_slug)
    require(request.user, "model.create", workspace)
    model = find_model(workspace, model_slug)
    start = {"name": model.name, "description": model.description}
    form = ModelForm(request.POST or None, initial=start)
    if request.method == "POST" and form.is_valid():
        try:
            services.change_model(model=model, by=request.user.actor, **form.cleaned_data)
        except DomainError as error:
            show_refusal(form, error)
        else:
            return redirect("registry:model_detail", workspace.slug, model.slug)
    context = {"model": find_model(workspace, model_slug), "form": form}
    return show(request, "registry/model_edit.html", context)


@require_POST
def model_delete(request, workspace_slug, model_slug):
    workspace = workspace_for(request, workspace_slug)
    require(request.user, "model.create", workspace)
    model = find_model(workspace, model_slug)
    if request.POST.get("confirm", "").strip() != model.name:
        messages.error(request, f"Nothing was deleted: type {model.name} to confirm.")
        return redirect("registry:model_edit", workspace.slug, model.slug)
    try:
        services.delete_model(model=model, by=request.user.actor)
    except DomainError as error:
        messages.error(request, error.message)
        return redirect("registry:model_edit", workspace.slug, model.slug)
    messages.success(request, f"{model.name} was deleted.")
    return redirect("registry:model_list", workspace.slug)

"""Pages of credentials: kept, tried, renamed, replaced, deleted; never shown."""

from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from apps.accounts.access import Action, require, workspace_for
from apps.accounts.models import Workspace
from apps.core.errors import DomainError
from apps.registry.credentials import services
from apps.registry.credentials.kinds import PARTS
from apps.registry.forms import show_refusal
from apps.registry.models import Credential
from apps.registry.selectors import credentials_of, find_credential
from apps.registry.source_forms import CredentialForm, RenameForm, SecretForm

KINDS = [
    ("password", "user-round", "Git over HTTPS, https files, MLflow"),
    ("token", "key-round", "Git over HTTPS, https files, MLflow"),
    ("ssh", "terminal", "Git over SSH"),
    ("s3", "database", "AWS, MinIO and other stores that speak S3"),
    ("gcs", "cloud", "gs:// buckets"),
    ("azure", "cloud", "az:// containers"),
    ("registry", "container", "Images of private registries"),
    ("header", "code", "APIs with a key in a header"),
    ("oauth", "shield-check", "APIs that want a token of a token server"),
]


@require_GET
def credential_list(request, workspace_slug):
    workspace = _workspace(request, workspace_slug, "workspace.view")
    labels = dict(Credential.Kind.choices)
    kinds = [{"kind": k, "icon": i, "opens": o, "label": labels[k]} for k, i, o in KINDS]
    context = {"credentials": credentials_of(workspace), "kinds": kinds}
    return _show(request, "list", context)


@never_cache
@require_http_methods(["GET", "POST"])
def credential_new(request, workspace_slug):
    """A new one, of the kind that the query string names."""
    workspace = _workspace(request, workspace_slug, "credential.manage")
    kind = request.GET.get("kind") or "password"
    if kind not in PARTS:
        raise Http404("There is no such kind of credential.")
    form = CredentialForm(request.POST or None, kind=kind)
    if request.method == "POST" and form.is_valid():
        try:
            made = services.create_credential(
                workspace=workspace,
                name=form.cleaned_data["name"],
                kind=kind,
                secret=form.parts(),
                by=request.user,
            )
        except DomainError as error:
            show_refusal(form, error)
        else:
            messages.success(request, f"{made} is kept. Test it now: that connects for real.")
            return redirect("registry:credential", workspace_slug, made.id)
    label = dict(Credential.Kind.choices)[kind]
    return _show(request, "new", {"form": form, "label": label}, 400 if form.errors else 200)


@never_cache
@require_http_methods(["GET", "POST"])
def credential(request, workspace_slug, identifier: UUID):
    """One credential; a POST replaces its content."""
    action: Action = "credential.manage" if request.method == "POST" else "workspace.view"
    found = find_credential(_workspace(request, workspace_slug, action), identifier)
    form = SecretForm(request.POST or None, kind=found.kind)
    if request.method == "POST" and form.is_valid():
        try:
            services.replace_credential(
                credential=found, secret=form.parts(), by=request.user.actor
            )
        except DomainError as error:
            show_refusal(form, error)
        else:
            messages.success(request, f"{found} has new content.")
            return redirect("registry:credential", workspace_slug, found.id)
    return _page(request, found, form, RenameForm(initial={"name": found.name}))


@require_POST
def rename(request, workspace_slug, identifier: UUID):
    found = find_credential(_workspace(request, workspace_slug, "credential.manage"), identifier)
    form = RenameForm(request.POST)
    if form.is_valid():
        try:
            services.rename_credential(
                credential=found, name=form.cleaned_data["name"], by=request.user.actor
            )
        except DomainError as error:
            show_refusal(form, error)
        else:
            messages.success(request, "Renamed.")
            return redirect("registry:credential", workspace_slug, found.id)
    return _page(request, found, SecretForm(kind=found.kind), form)


@require_POST
def credential_test(request, workspace_slug, identifier: UUID):
    found = find_credential(_workspace(request, workspace_slug, "credential.manage"), identifier)
    if services.try_credential(credential=found, by=request.user.actor):
        messages.error(request, f"{found} did not pass; the page says why.")
    else:
        messages.success(request, f"{found} is accepted.")
    return redirect("registry:credential", workspace_slug, found.id)


@require_POST
def delete(request, workspace_slug, identifier: UUID):
    found = find_credential(_workspace(request, workspace_slug, "credential.manage"), identifier)
    try:
        services.delete_credential(credential=found, by=request.user.actor)
    except DomainError as error:
        messages.error(request, error.message)
        return redirect("registry:credential", workspace_slug, found.id)
    messages.success(request, f"{found} was deleted.")
    return redirect("registry:credentials", workspace_slug)


def _workspace(request: HttpRequest, slug: str, action: Action) -> Workspace:
    workspace = workspace_for(request, slug)
    require(request.user, action, workspace)
    return workspace


def _page(request, found, form, rename_form) -> HttpResponse:
    failed = form.errors or rename_form.errors
    context = {"credential": found, "form": form, "rename_form": rename_form}
    return _show(request, "detail", context, 400 if failed else 200)


def _show(request, name, context, status=200) -> HttpResponse:
    frame = {"section": "members", "tab": "credentials"}
    return render(request, f"registry/credentials/{name}.html", context | frame, status=status)

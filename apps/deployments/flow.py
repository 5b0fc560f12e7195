"""The guided flow from a use case to an endpoint.

What was said stands in the query string from step to step, so nothing is lost on the way, the
back button works, and an error leads to the step that it belongs to.
"""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django import forms
from django.conf import settings
from django.db import transaction
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from apps.accounts.access import require as require_right
from apps.accounts.access import workspace_for
from apps.accounts.models import User, Workspace
from apps.core.errors import DomainError
from apps.deployments import services
from apps.deployments.backends.offers import LABELS
from apps.deployments.explainer_forms import ExplainerForm, said_before
from apps.deployments.forms import DetailsForm, PurposeForm, VersionForm, versions_of
from apps.deployments.models import Deployment, UseCase
from apps.deployments.transformer_forms import TransformerForm
from apps.registry.models import ModelVersion

Said = QueryDict


@dataclass(frozen=True, slots=True)
class Step:
    """One page of the flow; `form` is None where there is nothing to fill in."""

    key: str
    name: str
    form: type[PurposeForm | VersionForm | ExplainerForm | TransformerForm | DetailsForm] | None = (
        None
    )


FLOW = (
    Step("use-case", "Use case", PurposeForm),
    Step("model", "Model", VersionForm),
    Step("explainer", "Explainer", ExplainerForm),
    Step("transformer", "Transformer", TransformerForm),
    Step("details", "Details", DetailsForm),
    Step("review", "Review"),
)
_FIELDS = {step.key: list(step.form.base_fields) for step in FLOW if step.form}
_DETAILS = 4


@require_http_methods(["GET", "POST"])
def new(request: HttpRequest, workspace_slug: str) -> HttpResponse:
    """Shows the step that the query asks for, or the first before it that needs a change."""
    workspace = workspace_for(request, workspace_slug)
    require_right(request.user, "deployment.create", workspace)
    if not versions_of(workspace).exists():
        return render(request, "deployments/new_without_models.html")
    said = request.POST if request.method == "POST" else request.GET
    wanted = len(FLOW) - 1 if request.method == "POST" else _wanted(said)
    filled: dict[str, Any] = {}
    for number, step in enumerate(FLOW[:wanted]):
        form = step.form(workspace, said) if step.form else None
        if form is not None and not form.is_valid():
            return _page(request, number, form, said, workspace)
        filled |= form.cleaned_data if form else {}
    if request.method == "POST":
        return _create(request, workspace, filled, said)
    kind = FLOW[wanted].form
    form = kind(workspace, initial=_initial(workspace, said)) if kind else None
    return _page(request, wanted, form, said, workspace, filled)


def _wanted(said: Said) -> int:
    keys = [step.key for step in FLOW]
    key = said.get("step", "")
    return keys.index(key) if key in keys else 0


def _initial(workspace: Workspace, said: Said) -> dict[str, Any]:
    """What was said before; a deployment is called like its model until somebody says else."""
    version = chosen_version(workspace, said.get("version"))
    suggested = {"name": version.model.name} if version else {}
    return suggested | {"variables": [], "explainer_variables": []} | said_before(said)


def chosen_version(workspace: Workspace, identifier: str | None) -> ModelVersion | None:
    """The workspace's model version of this id; None for any other text."""
    try:
        return versions_of(workspace).filter(id=UUID(identifier or "")).first()
    except ValueError:
        return None


def _page(
    request: HttpRequest,
    number: int,
    form: forms.Form | None,
    said: Said,
    workspace: Workspace,
    filled: dict[str, Any] | None = None,
) -> HttpResponse:
    assert isinstance(request.user, User)
    step = FLOW[number]
    others = [n for key, names in _FIELDS.items() if key != step.key for n in names]
    context = {
        "steps": [(each, _mark(i, number)) for i, each in enumerate(FLOW)],
        "step": step.key,
        "before": FLOW[number - 1].key if number else None,
        "after": FLOW[number + 1].key if number + 1 < len(FLOW) else None,
        "form": form,
        "kept": [(name, value) for name in others for value in said.getlist(name)],
        "version": chosen_version(workspace, said.get("version")),
        "backend": LABELS.get((filled or {}).get("backend") or settings.DEFAULT_BACKEND),
        "filled": filled or {},
        "explainer": ExplainerForm.explainer_of(filled, request.user)
        if filled and step.form is None
        else None,
        "risk": UseCase.Risk(filled["risk"]).label if filled and "risk" in filled else "",
        "section": "deployments",
    }
    status = 400 if form is not None and form.errors else 200
    return render(request, "deployments/new.html", context, status=status)


def _mark(index: int, current: int) -> str:
    return "done" if index < current else "current" if index == current else "todo"


def _create(
    request: HttpRequest, workspace: Workspace, filled: dict[str, Any], said: Said
) -> HttpResponse:
    assert isinstance(request.user, User)
    if filled.get("transformer") or filled.get("explainer_module"):
        require_right(request.user, "scan.override", workspace)
    try:
        deployment = _deploy(workspace, filled, request.user)
    except DomainError as error:
        form = DetailsForm(workspace, said)
        form.add_error(None, error.message)
        return _page(request, _DETAILS, form, said, workspace)
    return redirect("deployments:progress", workspace.slug, deployment.slug)


@transaction.atomic
def _deploy(workspace: Workspace, filled: dict[str, Any], user: User) -> Deployment:
    """All or nothing: a deployment that is refused leaves no new use case behind."""
    return services.create_deployment(
        workspace=workspace,
        name=filled["name"],
        description=filled["description"],
        model_version=filled["version"],
        use_case=filled["use_case"] or _new_use_case(workspace, filled, user),
        run=DetailsForm.run_settings_of(filled),
        durability=filled["durability"],
        backend=filled["backend"] or None,
        config=DetailsForm.config_of(filled),
        transformer=TransformerForm.transformer_of(filled, user),
        explainer=ExplainerForm.explainer_of(filled, user),
        by=user,
    )


def _new_use_case(workspace: Workspace, filled: dict[str, Any], user: User) -> UseCase:
    return services.create_use_case(
        workspace=workspace, name=filled["new_use_case"], risk=filled["risk"], by=user
    )

"""Pages of trials: explainers measured and previewed while a deployment form is filled in."""

from dataclasses import dataclass
from statistics import median
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from apps.accounts.access import require, workspace_for
from apps.accounts.models import User, Workspace
from apps.core.errors import DomainError
from apps.deployments.explainer_forms import ExplainerForm
from apps.deployments.flow import chosen_version
from apps.deployments.way_back import way_back
from apps.explanations import trials
from apps.explanations.models import ExplainerTrial
from apps.explanations.told import Told, case_of
from apps.explanations.words import Words, method_words
from apps.predictions.views.loading import is_fragment

_UNSAID = ("csrfmiddlewaretoken", "step")


@dataclass(frozen=True, slots=True)
class Measured:
    """One method of a trial, for people."""

    result: dict[str, Any]
    told: Told | None

    @property
    def method(self) -> str:
        return method_words(self.result["method"])

    @property
    def median(self) -> float:
        return float(median(self.result["milliseconds"]))

    @property
    def fastest(self) -> float:
        return float(min(self.result["milliseconds"]))

    @property
    def slowest(self) -> float:
        return float(max(self.result["milliseconds"]))


@require_http_methods(["GET", "POST"])
def tried(request: HttpRequest, workspace_slug: str) -> HttpResponse:
    """What is about to be measured, or was; a POST has it measured.

    The query, or the form, holds what was said of the explainer and everything beside it.
    """
    workspace = _workspace(request, workspace_slug)
    if request.method == "POST":
        return _measure(request, workspace)
    version = chosen_version(workspace, request.GET.get("version"))
    assert isinstance(request.user, User)
    if version is None:
        return _page(request, None)
    return _page(request, trials.latest_trial(request.user, version, timezone.now()))


def _measure(request: HttpRequest, workspace: Workspace) -> HttpResponse:
    assert isinstance(request.user, User)
    version = chosen_version(workspace, request.POST.get("version"))
    form = ExplainerForm(workspace, request.POST)
    if version is None:
        return _refused(request, "Choose a model version first; explainers are tried out on it.")
    if not form.is_valid():
        return _refused(request, " ".join(str(e) for es in form.errors.values() for e in es))
    try:
        trial = trials.ask_for_trial(
            version=version,
            explainer=form.explainer_of(form.cleaned_data, request.user),
            by=request.user,
            now=timezone.now(),
        )
    except DomainError as error:
        return _refused(request, error.message)
    if is_fragment(request):
        return _page(request, trial)
    address = reverse("explanations:trial", args=[workspace.slug, trial.id])
    return redirect(f"{address}?{_said(request).urlencode()}")


def _refused(request: HttpRequest, problem: str) -> HttpResponse:
    # htmx swaps in what succeeds alone; the words stand in the part itself.
    return _page(request, None, problem=problem, status=200 if is_fragment(request) else 400)


@require_GET
def trial(request: HttpRequest, workspace_slug: str, identifier: Any) -> HttpResponse:
    """How far a trial is, and what it found."""
    return _page(request, _found(request, workspace_slug, identifier))


@require_POST
def cancel(request: HttpRequest, workspace_slug: str, identifier: Any) -> HttpResponse:
    found = _found(request, workspace_slug, identifier)
    trials.cancel(trial=found)
    if is_fragment(request):
        found.refresh_from_db()
        return _page(request, found)
    address = reverse("explanations:trial", args=[workspace_slug, identifier])
    return redirect(f"{address}?{_said(request).urlencode()}")


def _workspace(request: HttpRequest, slug: str) -> Workspace:
    workspace = workspace_for(request, slug)
    require(request.user, "deployment.create", workspace)
    return workspace


def _found(request: HttpRequest, slug: str, identifier: Any) -> ExplainerTrial:
    """A trial of the person's own; nobody else has any use for it."""
    workspace = _workspace(request, slug)
    assert isinstance(request.user, User)
    mine = ExplainerTrial.objects.filter(
        id=identifier, asked_by=request.user, version__model__workspace=workspace
    )
    found = mine.select_related("version", "background").first()
    if found is None:
        raise Http404("There is no such trial of yours; results are kept for an hour.")
    return found


def _page(
    request: HttpRequest, trial: ExplainerTrial | None, *, problem: str = "", status: int = 200
) -> HttpResponse:
    now = timezone.now()
    fault = trials.fault(trial, now) if trial else ""
    said, slug = _said(request), request.workspace.slug  # type: ignore[attr-defined]
    context = {
        "trial": trial,
        "problem": problem or fault,
        "goes_on": trial is not None and trial.is_open and not fault,
        "measured": _measured(trial) if trial else [],
        "said": [(name, value) for name, values in said.lists() for value in values],
        "query": said.urlencode(),
        "back": way_back(request, slug, step="explainer", said=said) if said else "",
        "section": "deployments",
    }
    template = "_trial" if is_fragment(request) else "trial"
    response = render(request, f"explanations/{template}.html", context, status=status)
    response["Vary"] = "HX-Request"
    return response


def _said(request: HttpRequest) -> QueryDict:
    """What was entered, and for which deployment."""
    said = request.GET.copy()
    said.update(request.POST)
    for name in _UNSAID:
        said.pop(name, None)
    return said


def _measured(trial: ExplainerTrial) -> list[Measured]:
    words = Words(trial.version.metadata)
    found = []
    for result in trial.results:
        told = None
        if not result["refused"]:
            given = result["instance"]
            case, at = case_of(given, words), trial.created_at
            told = Told(result["name"], result["example"], words, case, at, given=given)
        found.append(Measured(result, told))
    return found

"""Pages of feedback: what was said of a prediction, and saying it."""

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.core import signing
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.module_loading import import_string
from django.views.decorators.http import require_GET, require_POST

from apps.accounts.access import can
from apps.core.errors import DomainError
from apps.deployments.services import model_of
from apps.feedback import services
from apps.feedback.authors import author_of
from apps.feedback.forms import ActualForm, EvaluationForm
from apps.feedback.models import Claim, Evaluation
from apps.feedback.presentation import said_of, truth_of
from apps.feedback.selectors import actuals_of, evaluations_of, own_evaluation
from apps.feedback.services import Given, Judgement
from apps.predictions.models import PredictionRecord
from apps.predictions.views.loading import is_fragment, load_prediction

_OPENED = "feedback.opened"
_LONGEST_SECONDS = 24 * 60 * 60
_FIELDS = {"desiredOutput": "desired", "comment": "comment", "verdict": "verdict"}


@require_GET
def prediction(request, workspace_slug, identifier):
    """What was said of a prediction: a part of its page, or a page of its own."""
    record = load_prediction(request, workspace_slug, identifier, "prediction.view")
    return _render(request, record)


@require_POST
def evaluate(request, workspace_slug, identifier):
    """Gives an evaluation, or corrects one's own."""
    record = load_prediction(request, workspace_slug, identifier, "prediction.evaluate")
    form = EvaluationForm(_metadata(record), record.output_value, request.POST)
    if not form.is_valid():
        return _render(request, record, form=form, status=400)
    author = _author(request)
    given: dict[str, Any] = {
        "prediction": record,
        "judgement": _judgement(form, record),
        "by": author,
        "now": timezone.now(),
    }
    before = own_evaluation(record, author)
    try:
        if before is None:
            services.evaluate_prediction(**given)
        else:
            services.correct_evaluation(evaluation=before, **given)
    except DomainError as error:
        _show(form, error)
        return _render(request, record, form=form, status=error.status)
    return _done(request, record, "Your evaluation is on the record.")


@require_POST
def withdraw(request, workspace_slug, identifier):
    """Takes one's own evaluation back."""
    record = load_prediction(request, workspace_slug, identifier, "prediction.evaluate")
    author = _author(request)
    before = own_evaluation(record, author)
    if before is None:
        return _done(request, record, "You have no evaluation here; nothing was withdrawn.")
    try:
        services.withdraw_evaluation(
            evaluation=before, prediction=record, by=author, now=timezone.now()
        )
    except DomainError as error:
        return _done(request, record, error.message)
    return _done(request, record, "Your evaluation is withdrawn; that you gave it stays.")


@require_POST
def actual(request, workspace_slug, identifier):
    """Says what turned out to be true, for the first time or as a correction."""
    record = load_prediction(request, workspace_slug, identifier, "prediction.evaluate")
    form = ActualForm(_metadata(record), record.output_value, request.POST)
    if not form.is_valid():
        return _render(request, record, actual_form=form, status=400)
    [result] = services.record_actuals(
        deployment=record.deployment,
        rows=[Given(form.value(), prediction_id=record.id)],
        by=_author(request),
        now=timezone.now(),
    )
    if result.status != 200:
        form.add_error("actual", result.message)
        return _render(request, record, actual_form=form, status=400)
    words = {"repeated": "Nothing changed: that was the actual already."}
    return _done(request, record, words.get(result.state, "The actual is on the record."))


def _done(request: HttpRequest, record: PredictionRecord, text: str) -> HttpResponse:
    if is_fragment(request):
        return _render(request, record, said=text)
    messages.success(request, text)
    return redirect("predictions:detail", record.deployment.workspace.slug, record.id)


def _render(
    request: HttpRequest,
    record: PredictionRecord,
    *,
    form: EvaluationForm | None = None,
    actual_form: ActualForm | None = None,
    said: str = "",
    status: int = 200,
) -> HttpResponse:
    """The part or the page, with each form as far as it was filled in. htmx swaps in what
    succeeds alone, so that a part is always 200; the words stand in it."""
    deployment, metadata, output = record.deployment, _metadata(record), record.output_value
    own = own_evaluation(record, _author(request))
    context = {
        "record": record,
        "deployment": deployment,
        "evaluations": said_of(evaluations_of(record)),
        "truth": truth_of(record, metadata, actuals_of(record)),
        "own": own,
        "answered": _answered(own),
        "form": form or EvaluationForm(metadata, output, initial=_start(request, record, own)),
        "actual_form": actual_form or ActualForm(metadata, output),
        "may_say": record.output is not None
        and can(request.user, "prediction.evaluate", deployment.workspace),
        "said": said,
        "section": "deployments",
    }
    fragment = is_fragment(request)
    template = "_panel" if fragment else "prediction"
    response = render(
        request, f"feedback/{template}.html", context, status=200 if fragment else status
    )
    response["Vary"] = "HX-Request"
    return response


def _answered(own: Evaluation | None) -> Claim | None:
    """The answer in a review queue that one's own evaluation stands for."""
    if own is None:
        return None
    found = Claim.objects.filter(evaluation=own, state=Claim.State.ANSWERED)
    return found.select_related("case__queue").first()


def _author(request):
    return author_of(request.user)


def _metadata(record: PredictionRecord) -> dict[str, Any]:
    assert record.revision is not None
    metadata: dict[str, Any] = model_of(record.revision).metadata
    return metadata


def _start(
    request: HttpRequest, record: PredictionRecord, own: Evaluation | None
) -> dict[str, Any]:
    """What the form begins with: what one said before, and what stands on the page beside it.
    The page of its own shows no explanations."""
    shown = _shown(record) if is_fragment(request) else []
    start: dict[str, Any] = {
        "opened": signing.dumps(timezone.now().timestamp(), salt=_OPENED),
        "shown": ",".join(each["id"] for each in shown),
    }
    if own is not None:
        desired = own.desired_outcome or own.desired_output
        start |= {"verdict": own.verdict, "comment": own.comment, "desired": desired}
    return start


def _shown(record: PredictionRecord) -> list[dict[str, str]]:
    if record.output is None:
        return []
    found: list[dict[str, str]] = import_string(settings.SHOWN_EXPLANATIONS)(record)
    return found


def _judgement(form: EvaluationForm, record: PredictionRecord) -> Judgement:
    wanted = set(form.cleaned_data["shown"].split(","))
    shown = [each for each in _shown(record) if each["id"] in wanted]
    return Judgement(
        verdict=form.cleaned_data["verdict"],
        desired_output=form.value(),
        comment=form.cleaned_data["comment"],
        seen={"mode": "assisted", "explanations": shown},
        spent_ms=_spent_ms(form.cleaned_data["opened"]),
    )


def _spent_ms(opened: str) -> int | None:
    """Since the form was shown; None where that cannot be told, or where it lay for a day."""
    try:
        since = float(signing.loads(opened, salt=_OPENED, max_age=_LONGEST_SECONDS))
    except signing.BadSignature:
        return None
    return max(0, round((timezone.now().timestamp() - since) * 1000))


def _show(form: EvaluationForm, error: DomainError) -> None:
    """Puts a refusal at the field that it speaks of."""
    field = error.errors[0]["field"] if error.errors else ""
    form.add_error(_FIELDS.get(field), error.message)

"""Working through a queue: one case on the screen, the next one loaded ahead.

The page's script asks for parts, and sends in `beside` the case that it shows already while an
answer is kept; without a script each answer leads to the page of the next case.
"""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from apps.core.errors import Conflict, DomainError
from apps.feedback.authors import author_of
from apps.feedback.models import Claim
from apps.feedback.review import answers, claims
from apps.feedback.review.forms import FirstAnswerForm, JudgementForm
from apps.feedback.review.screen import (
    context_of,
    explanations_shown,
    kind_of,
    model_for_record,
    spent_ms,
)
from apps.feedback.review.selectors import find_claim, last_ended
from apps.feedback.review.views.loading import load_claim, load_queue
from apps.feedback.services import Judgement
from apps.predictions.selectors import find_prediction
from apps.predictions.views.loading import is_fragment

_FIELDS = {"desiredOutput": "desired", "comment": "comment", "reason": "reason"}
_DRAFT = {"verdict": "verdict", "desired": "desiredOutput", "comment": "comment"}


@require_POST
def next_case(request, workspace_slug, queue_id):
    """Takes the next case, or goes on with the one that is held."""
    queue = load_queue(request, workspace_slug, queue_id, "prediction.evaluate")
    return _go_on(request, queue)


@require_GET
def case(request, workspace_slug, queue_id, claim_id):
    claim = load_claim(request, workspace_slug, queue_id, claim_id)
    return _render(request, claim)


@require_POST
def first(request, workspace_slug, queue_id, claim_id):
    """Blind mode: keeps the reviewer's own answer, and shows the model's."""
    claim = load_claim(request, workspace_slug, queue_id, claim_id)
    form = FirstAnswerForm(_kind(claim), request.POST)
    if not form.is_valid():
        return _render(request, claim, first=form, problem="Give a number.", status=400)
    try:
        shown = answers.reveal(
            claim=claim, first_answer=form.value(), by=author_of(request.user), now=timezone.now()
        )
    except DomainError as error:
        return _render(request, claim, first=form, problem=error.message, status=error.status)
    return _render(request, shown) if is_fragment(request) else _to(shown)


@require_POST
def look(request, workspace_slug, queue_id, claim_id):
    """Blind mode: leaves the case to others, and leads to what was hidden."""
    claim = load_claim(request, workspace_slug, queue_id, claim_id)
    try:
        answers.look(claim=claim, by=author_of(request.user), now=timezone.now())
    except DomainError as error:
        messages.error(request, error.message)
    return redirect("predictions:detail", workspace_slug, claim.case.prediction_id)


@require_POST
def answer(request, workspace_slug, queue_id, claim_id):
    claim = load_claim(request, workspace_slug, queue_id, claim_id)
    form = JudgementForm(_kind(claim), request.POST)
    if not form.is_valid():
        return _render(request, claim, form=form, status=400)
    try:
        answers.answer(
            claim=claim,
            judgement=_judgement(request, form, claim),
            by=author_of(request.user),
            now=timezone.now(),
        )
    except DomainError as error:
        return _refused(request, claim, form, error)
    return _go_on(request, claim.case.queue)


@require_POST
def skip(request, workspace_slug, queue_id, claim_id):
    claim = load_claim(request, workspace_slug, queue_id, claim_id)
    now = timezone.now()
    told = request.POST.get("spent", "")
    spent = spent_ms(claim, int(told) if told.isdecimal() else None, now)
    try:
        claims.skip(claim=claim, spent_ms=spent, now=now)
    except DomainError as error:
        return _render(request, claim, problem=error.message, status=error.status)
    return _go_on(request, claim.case.queue)


@require_POST
def draft(request, workspace_slug, queue_id, claim_id):
    """Keeps what was typed so far. What arrives after the answer is in it already."""
    claim = load_claim(request, workspace_slug, queue_id, claim_id)
    if claim.state in (Claim.State.ANSWERED, Claim.State.SKIPPED):
        return HttpResponse(status=204)
    typed = {key: request.POST[name] for name, key in _DRAFT.items() if name in request.POST}
    typed["reason"] = request.POST.get("reason", "")
    try:
        claims.save_draft(claim=claim, draft=typed, now=timezone.now())
    except DomainError as error:
        text = "text/plain; charset=utf-8"
        return HttpResponse(error.message, status=error.status, content_type=text)
    if not is_fragment(request):
        return _to(claim)
    return render(request, "review/_kept.html", {"now": timezone.now()})


@require_POST
def ahead(request, workspace_slug, queue_id, claim_id):
    """Another case for the same reviewer, to be shown when this one is judged."""
    claim = load_claim(request, workspace_slug, queue_id, claim_id)
    return _ahead(request, claim) if is_fragment(request) else _to(claim)


@require_POST
def undo(request, workspace_slug, queue_id):
    """Takes one's last answer or skip back."""
    queue = load_queue(request, workspace_slug, queue_id, "prediction.evaluate")
    last = last_ended(queue, request.user)
    try:
        if last is None:
            raise Conflict("There is nothing to undo: you judged nothing here yet.")
        claim = answers.undo(claim=last, by=author_of(request.user), now=timezone.now())
    except DomainError as error:
        if is_fragment(request):
            text = "text/plain; charset=utf-8"
            return HttpResponse(error.message, status=error.status, content_type=text)
        messages.error(request, error.message)
        return redirect("review:queue", workspace_slug, queue_id)
    return _render(request, claim) if is_fragment(request) else _to(claim)


@require_POST
def leave(request, workspace_slug, queue_id):
    """Gives back what one holds; what was typed is kept for when it comes again."""
    queue = load_queue(request, workspace_slug, queue_id, "prediction.evaluate")
    claims.release_all(queue=queue, reviewer=request.user, now=timezone.now())
    return redirect("review:queue", workspace_slug, queue_id)


def _go_on(request, queue) -> HttpResponse:
    beside = _beside(request, queue)
    if beside is not None:
        return _ahead(request, beside)
    claim = claims.claim_next(queue=queue, reviewer=request.user, now=timezone.now())
    if is_fragment(request):
        if claim is None:
            return render(request, "review/_nothing.html", {"queue": queue})
        return _render(request, claim)
    if claim is not None:
        return _to(claim)
    messages.info(request, "Nothing waits for you in this queue now.")
    return redirect("review:queue", queue.deployment.workspace.slug, queue.id)


def _beside(request, queue) -> Claim | None:
    """The case that the page shows already, where it does."""
    try:
        identifier = UUID(request.POST.get("beside", ""))
    except ValueError:
        return None
    return find_claim(queue, identifier, request.user) if is_fragment(request) else None


def _ahead(request, claim: Claim) -> HttpResponse:
    found = claims.next_after(claim=claim, now=timezone.now())
    if found is None:
        return HttpResponse(status=204)
    return _render(request, found, is_ahead=True)


def _to(claim: Claim) -> HttpResponse:
    queue = claim.case.queue
    return redirect("review:case", queue.deployment.workspace.slug, queue.id, claim.id)


def _record(claim: Claim):
    return find_prediction(claim.case.queue.deployment.workspace, claim.case.prediction_id)


def _kind(claim: Claim) -> str:
    record = _record(claim)
    return kind_of(record, model_for_record(record))


def _judgement(request: HttpRequest, form: JudgementForm, claim: Claim) -> Judgement:
    said = form.cleaned_data
    is_otherwise = said["verdict"] == "disagree"
    keys = request.POST.getlist("shown")
    return Judgement(
        verdict=said["verdict"],
        desired_output=form.value() if is_otherwise else None,
        comment=said["comment"],
        reason=said["reason"],
        seen={"explanations": explanations_shown(_record(claim), keys)},
        spent_ms=spent_ms(claim, said["spent"], timezone.now()),
    )


def _refused(request, claim: Claim, form: JudgementForm, error: DomainError) -> HttpResponse:
    field = error.errors[0]["field"] if error.errors else ""
    if field not in _FIELDS:
        return _render(request, claim, form=form, problem=error.message, status=error.status)
    form.add_error(_FIELDS[field], error.message)
    return _render(request, claim, form=form, status=error.status)


def _render(request, claim: Claim, *, status: int = 200, **more: Any) -> HttpResponse:
    record = _record(claim)
    context = context_of(claim, record, now=timezone.now(), **more) | {"section": "review"}
    template = "_case" if is_fragment(request) else "case"
    response = render(request, f"review/{template}.html", context, status=status)
    response["Vary"] = "HX-Request"
    return response

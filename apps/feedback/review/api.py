"""The API of review queues: setting them up, asking for a review, and judging case by case."""

from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer

from apps.accounts.authentication import TokenPrincipal, actor_of
from apps.accounts.models import User
from apps.deployments.models import Deployment
from apps.feedback.api import FeedbackView
from apps.feedback.authors import author_of_call
from apps.feedback.models import Claim, ReviewQueue
from apps.feedback.review import answers, claims, requests, services
from apps.feedback.review.selectors import find_claim, find_queue, progress_of, queues_of, shown
from apps.feedback.review.serializers import (
    AnswerIn,
    FirstAnswerIn,
    NextIn,
    QueueIn,
    RequestIn,
    SkipIn,
    case_out,
    claim_out,
    preview_out,
    queue_out,
    settings_of,
)
from apps.feedback.services import Judgement
from apps.feedback.services.actuals import newest_of_cases
from apps.predictions.models import PredictionRecord

_ANSWER = {200: OpenApiTypes.OBJECT}


class ReviewView(FeedbackView):
    """For people and their key pairs; a token only asks for reviews."""

    def people(self, request: Request, workspace: str, key: str, action: Any) -> Deployment:
        if isinstance(request.user, TokenPrincipal):
            self.deployment(request, workspace, key)
            raise PermissionDenied("A deployment's token asks for reviews; people judge.")
        return self.deployment(request, workspace, key, action)

    def queue(
        self, request: Request, workspace: str, key: str, identifier: Any, action: Any
    ) -> ReviewQueue:
        found = self.people(request, workspace, key, action)
        return find_queue(found.workspace, identifier, deployment=found)

    def claim(
        self, request: Request, workspace: str, key: str, queue: Any, identifier: Any
    ) -> Claim:
        found = self.queue(request, workspace, key, queue, "prediction.evaluate")
        return find_claim(found, identifier, _person(request))


class Queues(ReviewView):
    @extend_schema(responses=_ANSWER, operation_id="review_queue_list")
    def get(self, request, workspace, deployment):
        found = self.people(request, workspace, deployment, "prediction.view")
        queues = list(queues_of(found.workspace).filter(deployment=found))
        progress = progress_of(queues, request.user, now=timezone.now())
        return Response([queue_out(queue, progress[queue.id]) for queue in queues])

    @extend_schema(request=QueueIn, responses={201: OpenApiTypes.OBJECT})
    def post(self, request, workspace, deployment):
        found = self.people(request, workspace, deployment, "review.manage")
        made = services.create_queue(
            deployment=found,
            settings=settings_of(_valid(QueueIn(data=request.data))),
            by=request.user,
            now=timezone.now(),
        )
        return Response(queue_out(made), 201)


class QueuePreview(ReviewView):
    """What settings would have let in of the newest predictions; keeps nothing."""

    @extend_schema(request=QueueIn, responses=_ANSWER)
    def post(self, request, workspace, deployment):
        found = self.people(request, workspace, deployment, "review.manage")
        settings = settings_of({"name": "Preview"} | _valid(QueueIn(data=request.data)))
        return Response(preview_out(services.preview(deployment=found, settings=settings)))


class Queue(ReviewView):
    @extend_schema(responses=_ANSWER, operation_id="review_queue_detail")
    def get(self, request, workspace, deployment, queue):
        found = self.queue(request, workspace, deployment, queue, "prediction.view")
        progress = progress_of([found], request.user, now=timezone.now())
        return Response(queue_out(found, progress[found.id]))

    @extend_schema(request=QueueIn, responses=_ANSWER)
    def patch(self, request, workspace, deployment, queue):
        found = self.queue(request, workspace, deployment, queue, "review.manage")
        changed = services.change_queue(
            queue=found,
            settings=settings_of(_valid(QueueIn(data=request.data)), found),
            by=actor_of(request),
            now=timezone.now(),
        )
        return Response(queue_out(changed))


class OpenQueue(ReviewView):
    act = staticmethod(services.open_queue)

    @extend_schema(request=None, responses=_ANSWER)
    def post(self, request, workspace, deployment, queue):
        found = self.queue(request, workspace, deployment, queue, "review.manage")
        changed = self.act(queue=found, by=actor_of(request), now=timezone.now())
        return Response(queue_out(changed))


class CloseQueue(OpenQueue):
    act = staticmethod(services.close_queue)


class NextCase(ReviewView):
    """The case that the caller holds, or the next; 204 where none waits for them."""

    @extend_schema(request=NextIn, responses=_ANSWER)
    def post(self, request, workspace, deployment, queue):
        found = self.queue(request, workspace, deployment, queue, "prediction.evaluate")
        after = _valid(NextIn(data=request.data)).get("after")
        now = timezone.now()
        if after is None:
            held = claims.claim_next(queue=found, reviewer=request.user, now=now)
        else:
            beside = find_claim(found, after, _person(request))
            held = claims.next_after(claim=beside, now=now)
        return Response(status=204) if held is None else Response(_claim_out(held))


class Case(ReviewView):
    """A case that the caller holds or judged; PATCH keeps a draft."""

    @extend_schema(responses=_ANSWER)
    def get(self, request, workspace, deployment, queue, claim):
        return Response(_claim_out(self.claim(request, workspace, deployment, queue, claim)))

    @extend_schema(request=OpenApiTypes.OBJECT, responses=_ANSWER)
    def patch(self, request, workspace, deployment, queue, claim):
        found = self.claim(request, workspace, deployment, queue, claim)
        kept = claims.save_draft(claim=found, draft=request.data, now=timezone.now())
        return Response(_claim_out(kept))


class Reveal(ReviewView):
    @extend_schema(request=FirstAnswerIn, responses=_ANSWER)
    def post(self, request, workspace, deployment, queue, claim):
        found = self.claim(request, workspace, deployment, queue, claim)
        revealed = answers.reveal(
            claim=found,
            first_answer=_valid(FirstAnswerIn(data=request.data))["firstAnswer"],
            by=author_of_call(request.user, request.auth),
            now=timezone.now(),
        )
        return Response(_claim_out(revealed))


class Look(ReviewView):
    """Blind mode: leaves the case to others, and lets the caller see what was hidden."""

    @extend_schema(request=None, responses=_ANSWER)
    def post(self, request, workspace, deployment, queue, claim):
        found = self.claim(request, workspace, deployment, queue, claim)
        left = answers.look(
            claim=found, by=author_of_call(request.user, request.auth), now=timezone.now()
        )
        return Response(_claim_out(left))


class Answer(ReviewView):
    @extend_schema(request=AnswerIn, responses=_ANSWER)
    def post(self, request, workspace, deployment, queue, claim):
        found = self.claim(request, workspace, deployment, queue, claim)
        ended = answers.answer(
            claim=found,
            judgement=_judgement(_valid(AnswerIn(data=request.data))),
            by=author_of_call(request.user, request.auth),
            now=timezone.now(),
        )
        return Response(_claim_out(ended))


class Skip(ReviewView):
    @extend_schema(request=SkipIn, responses=_ANSWER)
    def post(self, request, workspace, deployment, queue, claim):
        found = self.claim(request, workspace, deployment, queue, claim)
        spent = _valid(SkipIn(data=request.data)).get("spentMs")
        return Response(_claim_out(claims.skip(claim=found, spent_ms=spent, now=timezone.now())))


class Release(ReviewView):
    @extend_schema(request=None, responses=_ANSWER)
    def post(self, request, workspace, deployment, queue, claim):
        found = self.claim(request, workspace, deployment, queue, claim)
        return Response(_claim_out(claims.release(claim=found, now=timezone.now())))


class Undo(ReviewView):
    @extend_schema(request=None, responses=_ANSWER)
    def post(self, request, workspace, deployment, queue, claim):
        found = self.claim(request, workspace, deployment, queue, claim)
        held = answers.undo(
            claim=found, by=author_of_call(request.user, request.auth), now=timezone.now()
        )
        return Response(_claim_out(held))


class Requests(FeedbackView):
    """Asking for a review, also by a deployment's token with the scope `evaluate`."""

    @extend_schema(request=RequestIn, responses={201: OpenApiTypes.OBJECT})
    def post(self, request, workspace, deployment):
        found = self.allowed(request, workspace, deployment)
        given = _valid(RequestIn(data=request.data))
        record = self._prediction(found, given.get("predictionId") or _newest(found, given))
        queue = _queue_for(found, given.get("queueId"))
        case = requests.ask_for_review(
            queue=queue,
            prediction=record,
            reason=given["reason"],
            by=author_of_call(request.user, request.auth),
            now=timezone.now(),
        )
        return Response(case_out(case), 201)


def _person(request: Request) -> User:
    assert isinstance(request.user, User)
    return request.user


def _newest(deployment: Deployment, given: dict[str, Any]) -> Any:
    custom_id = given["customId"]
    found = newest_of_cases(deployment, [custom_id]).get(custom_id)
    if found is None:
        raise Http404("No prediction of this deployment has this custom id.")
    return found[0]


def _queue_for(deployment: Deployment, identifier: Any) -> ReviewQueue:
    if identifier is None:
        return requests.queue_for_requests(deployment)
    try:
        return find_queue(deployment.workspace, identifier, deployment=deployment)
    except Http404:
        raise ValidationError({"queueId": "This deployment has no such review queue."}) from None


def _judgement(given: dict[str, Any]) -> Judgement:
    return Judgement(
        verdict=given["verdict"],
        desired_output=given.get("desiredOutput"),
        comment=given["comment"],
        reason=given["reason"],
        seen={"explanations": given.get("explanations") or []},
        spent_ms=given.get("spentMs"),
    )


def _claim_out(claim: Claim) -> dict[str, Any]:
    record = PredictionRecord.objects.get(id=claim.case.prediction_id)
    return claim_out(claim, record, shown(claim))


def _valid(body: Serializer) -> dict[str, Any]:
    body.is_valid(raise_exception=True)
    return dict(body.validated_data)

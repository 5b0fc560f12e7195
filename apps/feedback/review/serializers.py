"""Queues, cases and answers on the wire."""

from typing import Any

from rest_framework import serializers

from apps.feedback.models import Claim, ReviewCase, ReviewQueue
from apps.feedback.review.selectors import Progress, Shown, correction_of
from apps.feedback.review.services import Preview
from apps.feedback.review.settings import QueueSettings, wire_name
from apps.feedback.serializers import ShownIn
from apps.feedback.services.evaluations import LONGEST_COMMENT
from apps.predictions.models import PredictionRecord

_VERDICTS = ("agree", "disagree", "unsure")
_NAMES = {wire_name(name): name for name in QueueSettings.__dataclass_fields__}


class QueueIn(serializers.Serializer):
    """Body of a queue. What is left out keeps its value, or has that of a new queue; the service
    says of each field what is wrong with it."""

    name = serializers.CharField(required=False, allow_blank=True)
    mode = serializers.CharField(required=False)
    rules = serializers.JSONField(required=False)
    auditProbability = serializers.JSONField(required=False)
    alpha = serializers.JSONField(required=False, allow_null=True)
    turnsAt = serializers.JSONField(required=False, allow_null=True)
    novelty = serializers.JSONField(required=False, allow_null=True)
    doubleShare = serializers.JSONField(required=False)
    knownWrongShare = serializers.JSONField(required=False)
    claimMinutes = serializers.JSONField(required=False)
    reasons = serializers.JSONField(required=False)

    def validate(self, given: dict[str, Any]) -> dict[str, Any]:
        strange = sorted(set(self.initial_data) - set(_NAMES))
        if strange:
            text = f"A queue has no such field; it has {', '.join(_NAMES)}."
            raise serializers.ValidationError({strange[0]: text})
        return given


class RequestIn(serializers.Serializer):
    """Body of a request for review: a prediction by our id or by the caller's own, and why."""

    predictionId = serializers.UUIDField(required=False)
    customId = serializers.CharField(required=False, max_length=200)
    queueId = serializers.UUIDField(required=False)
    reason = serializers.CharField(allow_blank=True)

    def validate(self, given: dict[str, Any]) -> dict[str, Any]:
        if ("predictionId" in given) == ("customId" in given):
            text = "Give predictionId or customId, one of them."
            raise serializers.ValidationError({"predictionId": text})
        return given


class NextIn(serializers.Serializer):
    """Body of a call for the next case; `after` is the claim beside which it is loaded ahead."""

    after = serializers.UUIDField(required=False)


class FirstAnswerIn(serializers.Serializer):
    """Body of the answer before the output is shown."""

    firstAnswer = serializers.JSONField()


class SkipIn(serializers.Serializer):
    """Body of a skip."""

    spentMs = serializers.IntegerField(required=False, min_value=0, max_value=86_400_000)


class AnswerIn(serializers.Serializer):
    """Body of an answer."""

    verdict = serializers.ChoiceField(_VERDICTS)
    desiredOutput = serializers.JSONField(required=False, allow_null=True)
    comment = serializers.CharField(
        max_length=LONGEST_COMMENT, required=False, allow_blank=True, default=""
    )
    reason = serializers.CharField(max_length=40, required=False, allow_blank=True, default="")
    spentMs = serializers.IntegerField(required=False, allow_null=True)
    explanations = serializers.ListField(child=ShownIn(), required=False, max_length=50)


def settings_of(given: dict[str, Any], before: ReviewQueue | None = None) -> QueueSettings:
    """The settings that a body asks for; what it leaves out stays as it was."""
    kept = {n: getattr(before, n) for n in _NAMES.values()} if before else {"name": ""}
    return QueueSettings(**(kept | {_NAMES[name]: value for name, value in given.items()}))


def queue_out(queue: ReviewQueue, progress: Progress | None = None) -> dict[str, Any]:
    """Without the key of its draws, which never leaves."""
    shown: dict[str, Any] = {
        "id": str(queue.id),
        "deploymentId": str(queue.deployment_id),
        "open": queue.is_open,
        "createdAt": queue.created_at.isoformat(),
    }
    shown |= {name: getattr(queue, field) for name, field in _NAMES.items()}
    return shown if progress is None else shown | {"progress": _progress_out(progress)}


def preview_out(found: Preview) -> dict[str, Any]:
    return {
        "looked": found.looked,
        "certain": found.certain,
        "expected": round(found.expected, 1),
        "byCause": found.by_cause,
    }


def case_out(case: ReviewCase) -> dict[str, Any]:
    """How a case stands, for whoever asked for it."""
    return {
        "id": str(case.id),
        "queueId": str(case.queue_id),
        "predictionLogId": str(case.prediction_id),
        "state": case.state,
        "askedAt": case.at.isoformat(),
        "closedAt": case.closed_at.isoformat() if case.closed_at else None,
    }


def claim_out(claim: Claim, record: PredictionRecord, shown: Shown) -> dict[str, Any]:
    """A case with what its reviewer may see of it now."""
    output = {"output": record.output_value, "outcome": record.outcome, "score": record.score}
    return {
        "id": str(claim.id),
        "caseId": str(claim.case_id),
        "predictionLogId": str(claim.case.prediction_id),
        "state": claim.state,
        "until": claim.until.isoformat(),
        "isAdjudication": claim.is_adjudication,
        "input": record.input_value,
        "customId": record.custom_id,
        "prediction": output if shown.shows_output else None,
        "causes": [{"kind": each["kind"], "words": each["words"]} for each in shown.causes],
        "others": [_other_out(each) for each in shown.others],
        "firstAnswer": claim.first_answer,
        "draft": claim.draft,
        "verdict": claim.verdict,
        "correction": _correction_out(claim),
        "evaluationId": str(claim.evaluation_id) if claim.evaluation_id else None,
    }


def _other_out(claim: Claim) -> dict[str, Any]:
    return {
        "reviewer": str(claim.reviewer),
        "verdict": claim.verdict,
        "desiredClass": claim.outcome,
        "correction": _correction_out(claim),
        "comment": claim.draft.get("comment", ""),
        "reason": claim.draft.get("reason", ""),
    }


def _correction_out(claim: Claim) -> dict[str, Any] | None:
    """What the reviewer said later; the verdict of the case stays."""
    said = correction_of(claim)
    if said is None:
        return None
    return {
        "verdict": said.verdict,
        "desiredClass": said.desired_outcome,
        "at": said.at.isoformat(),
    }


def _progress_out(progress: Progress) -> dict[str, Any]:
    return {
        "waiting": progress.waiting,
        "adjudicating": progress.adjudicating,
        "requested": progress.requested,
        "held": progress.held,
        "mine": progress.mine,
        "openToMe": progress.open_to_me,
        "done": progress.done,
        "doneByMe": progress.done_by_me,
        "oldest": progress.oldest.isoformat() if progress.oldest else None,
    }

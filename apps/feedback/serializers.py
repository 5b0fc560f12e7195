"""Evaluations and actuals on the wire, with the names that the official client knows."""

from typing import Any

from rest_framework import serializers

from apps.feedback.models import Actual, Entry, Evaluation
from apps.feedback.services import Judgement, Result
from apps.feedback.services.evaluations import LONGEST_COMMENT

_AGREES = {"agree": True, "disagree": False}
_VERDICTS = ("agree", "disagree", "unsure")


class ShownIn(serializers.Serializer):
    """An explanation that was shown: its name, and its id where it was made later."""

    name = serializers.CharField(max_length=60)
    id = serializers.CharField(max_length=60, required=False, allow_null=True, default=None)


class FirstIn(serializers.Serializer):
    """The answer that was given before the model's was revealed."""

    verdict = serializers.ChoiceField(_VERDICTS, required=False)
    desiredOutput = serializers.JSONField(required=False, allow_null=True)


class SeenIn(serializers.Serializer):
    """What was shown before the evaluation."""

    mode = serializers.ChoiceField(("assisted", "blind"))
    explanations = serializers.ListField(child=ShownIn(), required=False, max_length=50)
    first = FirstIn(required=False, allow_null=True)


class EvaluationIn(serializers.Serializer):
    """Body of POST evaluatePrediction; `agree`, or our `verdict` for unsure."""

    agree = serializers.BooleanField(required=False, allow_null=True)
    verdict = serializers.ChoiceField(_VERDICTS, required=False)
    desiredOutput = serializers.JSONField(required=False, allow_null=True)
    comment = serializers.CharField(
        max_length=LONGEST_COMMENT, required=False, allow_null=True, allow_blank=True
    )
    reason = serializers.CharField(max_length=40, required=False, allow_null=True, allow_blank=True)
    spentMs = serializers.IntegerField(required=False, allow_null=True)
    seen = SeenIn(required=False, allow_null=True)

    def validate(self, given: dict[str, Any]) -> dict[str, Any]:
        agree, verdict = given.get("agree"), given.get("verdict")
        if agree is None and verdict is None and not self.partial:
            raise serializers.ValidationError({"agree": "Say true or false, or give a verdict."})
        if agree is not None and verdict is not None and _AGREES.get(verdict) is not agree:
            text = f"It says {str(agree).lower()}, and the verdict says {verdict}; give one."
            raise serializers.ValidationError({"agree": text})
        return given


class ActualsIn(serializers.Serializer):
    """Body of PUT actuals: values, and as many ids of predictions or of cases."""

    actualValues = serializers.ListField()
    predictionIds = serializers.ListField(required=False)
    customIds = serializers.ListField(required=False)


def judgement_of(given: dict[str, Any], before: Evaluation | None = None) -> Judgement:
    """What a valid body says; what it leaves out stays as it was before."""
    agree = given.get("agree")
    said = None if agree is None else ("agree" if agree else "disagree")
    verdict = given.get("verdict") or said
    return Judgement(
        verdict=verdict or (before.verdict if before else None) or "",
        desired_output=given.get("desiredOutput", before.desired_value if before else None),
        comment=given.get("comment", before.comment if before else "") or "",
        reason=given.get("reason", before.reason if before else "") or "",
        seen=given.get("seen"),
        spent_ms=given.get("spentMs"),
    )


def evaluation_out(evaluation: Evaluation) -> dict[str, Any]:
    """`agree` is null where the author is unsure, took it back, or where it was erased."""
    return _entry(evaluation) | {
        "agree": _AGREES.get(evaluation.verdict or ""),
        "verdict": evaluation.verdict,
        "desiredOutput": evaluation.desired_value,
        "desiredClass": evaluation.desired_outcome,
        "comment": evaluation.comment,
        "reason": evaluation.reason,
        "seen": evaluation.seen_value or None,
        "spentMs": evaluation.spent_ms,
    }


def actual_out(actual: Actual) -> dict[str, Any]:
    erased = actual.value is None
    return _entry(actual) | {
        "actualValue": None if erased else {"predictions": [actual.actual_value]},
        "actualClass": actual.outcome,
    }


def result_out(result: Result) -> dict[str, Any]:
    """What became of a row of a batch; the id as it was sent where it is none of ours."""
    known = result.prediction_id
    shown: dict[str, Any] = {
        "predictionLogId": str(known or result.given.prediction_id or ""),
        "status": result.status,
        "message": result.message,
        "result": result.state,
    }
    return shown if result.given.custom_id is None else shown | {"customId": result.given.custom_id}


def _entry(entry: Entry) -> dict[str, Any]:
    return {
        "id": str(entry.id),
        "predictionLogId": str(entry.prediction_id),
        "personalKeysId": str(entry.key_pair_id) if entry.key_pair_id else None,
        "tokenId": entry.author_id if entry.author_kind == "token" else None,
        "oidcSubjectId": None,
        "author": {"kind": entry.author_kind, "id": entry.author_id, "name": entry.author_name},
        "createdAt": entry.at.isoformat(),
        "updatedAt": entry.at.isoformat(),
        "supersedes": str(entry.supersedes_id) if entry.supersedes_id else None,
        "current": entry.is_current,
        "digest": bytes(entry.digest).hex(),
        "erasedAt": entry.erased_at.isoformat() if entry.erased_at else None,
    }

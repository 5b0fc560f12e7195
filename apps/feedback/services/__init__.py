"""Acts on predictions after the fact: judging them, and saying what turned out to be true."""

from apps.feedback.services.actuals import Given, Result, record_actuals
from apps.feedback.services.evaluations import (
    Judgement,
    correct_evaluation,
    evaluate_prediction,
    withdraw_evaluation,
)
from apps.feedback.services.forgetting import forget

__all__ = [
    "Given",
    "Judgement",
    "Result",
    "correct_evaluation",
    "evaluate_prediction",
    "forget",
    "record_actuals",
    "withdraw_evaluation",
]

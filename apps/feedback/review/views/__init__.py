"""Pages of review: queues, the case that is judged, and asking for a review."""

from apps.feedback.review.views.asking import request
from apps.feedback.review.views.cases import (
    ahead,
    answer,
    case,
    draft,
    first,
    leave,
    look,
    next_case,
    skip,
    undo,
)
from apps.feedback.review.views.editing import change, choose, new
from apps.feedback.review.views.queues import close, queue, queue_list, reopen

__all__ = [
    "ahead",
    "answer",
    "case",
    "change",
    "choose",
    "close",
    "draft",
    "first",
    "leave",
    "look",
    "new",
    "next_case",
    "queue",
    "queue_list",
    "reopen",
    "request",
    "skip",
    "undo",
]

"""What the worker does for the review queues."""

import logging
import time

from django.utils import timezone

from apps.feedback.models import ReviewQueue
from apps.feedback.review.intake import take_in

log = logging.getLogger(__name__)
_SECONDS = 45


def fill_queues() -> int:
    """Looks at what is new in the log for every open queue; returns how many predictions. What
    is left after some time comes with the next run; a queue that fails does not stop the others."""
    started, looked = time.monotonic(), 0
    for queue in ReviewQueue.objects.filter(is_open=True).select_related("deployment"):
        try:
            while time.monotonic() - started < _SECONDS:
                found = take_in(queue=queue, now=timezone.now())
                looked += found
                if not found:
                    break
        except Exception:
            log.exception("The review queue %s took nothing in", queue.id)
    return looked

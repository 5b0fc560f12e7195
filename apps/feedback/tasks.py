"""What the worker does for the review queues."""

import logging
import time

from django.utils import timezone

from apps.deployments.models import Deployment
from apps.feedback.models import ReviewQueue
from apps.feedback.review.intake import behind, take_in

log = logging.getLogger(__name__)
_SECONDS = 45


def fill_queues() -> int:
    """Looks at what is new in the log for every open queue; returns how many predictions.

    The queues take turns, and what is left after some time comes with the next run; one that
    fails does not stop the others.
    """
    started, looked = time.monotonic(), 0
    living = ReviewQueue.objects.exclude(deployment__desired=Deployment.Desired.DELETED)
    queues = list(behind(living.filter(is_open=True)).select_related("deployment"))
    while queues and time.monotonic() - started < _SECONDS:
        found = {queue.id: _fill(queue) for queue in queues}
        looked += sum(found.values())
        queues = [queue for queue in queues if found[queue.id]]
    return looked


def _fill(queue: ReviewQueue) -> int:
    try:
        return take_in(queue=queue, now=timezone.now())
    except Exception:
        log.exception("The review queue %s took nothing in", queue.id)
        return 0

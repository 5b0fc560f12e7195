"""What the worker does for explanations."""

from uuid import UUID

from django.utils import timezone

from apps.deployments.models import Revision
from apps.explanations import services, summaries, trials


def explain(identifier: str) -> str:
    """Explains the prediction of a job."""
    return services.do_job(identifier=UUID(identifier), now=timezone.now())


def summarise(revision_id: str) -> str:
    """Computes what a revision believes in general; nothing where that is done or under way."""
    revision = Revision.objects.filter(id=UUID(revision_id)).first()
    if revision is None:
        return "gone"
    return summaries.summarise(revision=revision, now=timezone.now()).state


def summarise_missing() -> int:
    """Asks for what active revisions lack."""
    return summaries.ask_for_missing(now=timezone.now())


def try_explainers(identifier: str) -> str:
    """Measures the methods of a trial."""
    return trials.perform(identifier=UUID(identifier))


def end_left_trials() -> int:
    """Ends servers of trials that nobody waits for any more."""
    return trials.end_left(now=timezone.now())

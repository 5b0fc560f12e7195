"""What model servers leave on disk: their logs, readable for a while after they have ended."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

from django.conf import settings
from django.db.models import Q, QuerySet, Window
from django.db.models.functions import RowNumber
from django.utils.module_loading import import_string

from apps.deployments.backends.process import ProcessBackend, name_of
from apps.deployments.models import Deployment, Replica
from apps.deployments.reconcile.states import LIVING

_KEPT = timedelta(days=7)
_KEPT_OF_A_DEPLOYMENT = 5


def remove_old_directories(*, now: datetime) -> int:
    """Removes the directories of processes that ended more than a week ago; how many. The newest
    few of a deployment stay as long as it does, so that there is a log of what ran last."""
    before = now - _KEPT
    lately = Replica.objects.filter(Q(state__in=LIVING) | Q(state_at__gt=before))
    kept = {name_of(replica) for found in (lately, _newest_ended()) for replica in _ids(found)}
    for path in settings.SERVERS_BESIDE:
        kept |= {Path(handle.get("directory", "")).name for handle in import_string(path)()}
    return ProcessBackend().sweep(kept, before.timestamp())


def _newest_ended() -> QuerySet[Replica]:
    ended = Replica.objects.exclude(state__in=LIVING).filter(
        component__revision__backend=ProcessBackend.name, handle__has_key="directory"
    )
    place = Window(
        RowNumber(), partition_by="component__revision__deployment", order_by="-state_at"
    )
    theirs = ended.exclude(component__revision__deployment__desired=Deployment.Desired.DELETED)
    return theirs.annotate(place=place).filter(place__lte=_KEPT_OF_A_DEPLOYMENT)


def _ids(found: QuerySet[Replica]) -> Iterator[UUID]:
    return found.values_list("id", flat=True).iterator()

"""Reads data sets and opted-out cases."""

from uuid import UUID

from django.db.models import QuerySet
from django.http import Http404

from apps.deployments.models import Deployment
from apps.feedback.datasets.models import DataSetExport, OptOut


def datasets_of(deployment: Deployment) -> QuerySet[DataSetExport]:
    """The data sets of a deployment, the newest first."""
    return DataSetExport.objects.filter(deployment=deployment).select_related("deployment")


def find_dataset(deployment: Deployment, identifier: UUID) -> DataSetExport:
    """One of a deployment's data sets. Raises Http404."""
    found = datasets_of(deployment).filter(id=identifier).first()
    if found is None:
        raise Http404("There is no such data set of this deployment.")
    return found


def newest_ready(deployment: Deployment) -> DataSetExport:
    """The newest data set that can be taken. Raises Http404 where there is none."""
    found = datasets_of(deployment).filter(state=DataSetExport.State.READY).first()
    if found is None:
        raise Http404("This deployment has no data set that is ready; ask for one.")
    return found


def opt_outs_of(deployment: Deployment) -> QuerySet[OptOut]:
    return OptOut.objects.filter(deployment=deployment).select_related("deployment")


def find_opt_out(deployment: Deployment, identifier: UUID) -> OptOut:
    """One of a deployment's opted-out cases. Raises Http404."""
    found = opt_outs_of(deployment).filter(id=identifier).first()
    if found is None:
        raise Http404("There is no such opted-out case of this deployment.")
    return found

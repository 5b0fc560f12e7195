"""API addresses of data sets."""

from django.urls import path

from apps.feedback.datasets import api

_D = "workspaces/<str:workspace>/deployments/<str:deployment>"

urlpatterns = [
    path(f"{_D}/datasets", api.DataSets.as_view()),
    path(f"{_D}/datasets/newest/file", api.NewestFile.as_view()),
    path(f"{_D}/datasets/<uuid:identifier>", api.DataSet.as_view()),
    path(f"{_D}/datasets/<uuid:identifier>/file", api.DataSetFile.as_view()),
    path(f"{_D}/optOuts", api.OptOuts.as_view()),
    path(f"{_D}/optOuts/<uuid:identifier>", api.OptOutOf.as_view()),
]

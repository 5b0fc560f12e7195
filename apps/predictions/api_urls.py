"""API addresses of the log."""

from django.urls import path

from apps.predictions import api

_D = "workspaces/<str:workspace>/deployments/<str:deployment>"

urlpatterns = [
    path(f"{_D}/requestLogs", api.RequestLogs.as_view()),
    path(f"{_D}/predictionLogs", api.PredictionLogs.as_view()),
    path(f"{_D}/predictionLogs/<uuid:identifier>", api.PredictionLog.as_view()),
]

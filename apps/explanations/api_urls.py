"""API addresses of explanations."""

from django.urls import path

from apps.explanations import api

_D = "workspaces/<str:workspace>/deployments/<str:deployment>"
_P = f"{_D}/predictionLogs/<uuid:identifier>"

urlpatterns = [
    path(f"{_P}/explain", api.Explain.as_view()),
    path(f"{_P}/explanations", api.Explanations.as_view()),
    path(f"{_D}/explainJobs/<uuid:identifier>", api.Job.as_view()),
]

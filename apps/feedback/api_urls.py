"""API addresses of feedback."""

from django.urls import path

from apps.feedback import api

_D = "workspaces/<str:workspace>/deployments/<str:deployment>"
_P = f"{_D}/predictionLogs/<uuid:identifier>"

urlpatterns = [
    path(f"{_P}/evaluatePrediction", api.Evaluate.as_view()),
    path(f"{_P}/evaluation", api.OwnEvaluation.as_view()),
    path(f"{_P}/evaluations", api.Evaluations.as_view()),
    path(f"{_P}/actuals", api.ActualHistory.as_view()),
    path(f"{_D}/actuals", api.Actuals.as_view()),
]

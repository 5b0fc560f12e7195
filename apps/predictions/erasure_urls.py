"""API addresses of erasure."""

from django.urls import path

from apps.predictions import erasure_api

_LOGS = "workspaces/<str:workspace>/deployments/<str:deployment>/predictionLogs"

urlpatterns = [
    path(f"{_LOGS}/erase", erasure_api.CaseErasure.as_view()),
]

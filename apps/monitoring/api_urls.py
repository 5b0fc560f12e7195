"""API addresses of monitoring."""

from django.urls import path

from apps.monitoring.feedback import api

_D = "workspaces/<str:workspace>/deployments/<str:deployment>"

urlpatterns = [
    path(f"{_D}/feedback", api.Feedback.as_view()),
]

"""API addresses of the event log."""

from django.urls import path

from apps.dashboard import audit_api as api

urlpatterns = [
    path("events", api.OrganisationEvents.as_view()),
    path("workspaces/<str:workspace>/events", api.WorkspaceEvents.as_view()),
]

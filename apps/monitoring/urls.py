"""Page addresses of monitoring."""

from django.urls import path

from apps.monitoring import views
from apps.monitoring.feedback import views as feedback

app_name = "monitoring"
_D = "w/<slug:workspace_slug>/deployments/<slug:slug>/"

urlpatterns = [
    path(f"{_D}figures/", views.deployment_figures, name="deployment_figures"),
    path(f"{_D}feedback/", feedback.feedback, name="feedback"),
    path(f"{_D}feedback/<slug:chart>.<slug:kind>", feedback.feedback_file, name="feedback_file"),
]

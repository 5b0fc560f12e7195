"""Page addresses of monitoring."""

from django.urls import path

from apps.monitoring import views

app_name = "monitoring"
_D = "w/<slug:workspace_slug>/deployments/<slug:slug>/"

urlpatterns = [
    path(f"{_D}figures/", views.deployment_figures, name="deployment_figures"),
]

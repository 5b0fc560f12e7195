"""Page addresses of data sets."""

from django.urls import path

from apps.feedback.datasets import views

app_name = "datasets"
_D = "w/<slug:workspace_slug>/deployments/<slug:slug>/datasets/"

urlpatterns = [
    path(_D, views.dataset_list, name="list"),
    path(f"{_D}<uuid:identifier>/file/", views.file, name="file"),
    path(f"{_D}opt-outs/", views.opt_out, name="opt_out"),
    path(f"{_D}opt-outs/<uuid:identifier>/end/", views.opt_in, name="opt_in"),
]

"""Page addresses of the log."""

from django.urls import path

from apps.predictions import views

app_name = "predictions"
_D = "w/<slug:workspace_slug>/deployments/<slug:slug>/"
_W = "w/<slug:workspace_slug>/"

urlpatterns = [
    path(f"{_D}predictions/", views.prediction_list, name="list"),
    path(f"{_D}predictions/export/", views.export, name="export"),
    path(f"{_D}predictions/erase/", views.erase_case, name="erase_case"),
    path(f"{_D}try/", views.try_it, name="try"),
    path(f"{_W}predictions/<uuid:identifier>/", views.prediction, name="detail"),
    path(f"{_W}predictions/<uuid:identifier>/verify/", views.verify, name="verify"),
    path(f"{_W}predictions/<uuid:identifier>/erase/", views.erase, name="erase"),
    path(f"{_W}requests/<uuid:identifier>/", views.refused_request, name="request"),
]

"""Page addresses of explanations."""

from django.urls import path

from apps.explanations import trial_views, views

app_name = "explanations"
_D = "w/<slug:workspace_slug>/deployments/<slug:slug>/explanations/"
_T = "w/<slug:workspace_slug>/explainer-trials/"
_P = "w/<slug:workspace_slug>/predictions/<uuid:identifier>/explanations/"

urlpatterns = [
    path(_D, views.deployment, name="deployment"),
    path(f"{_D}summarise/", views.summarise, name="summarise"),
    path(f"{_D}r<int:number>/<slug:chart>.<slug:kind>", views.general_file, name="general_file"),
    path(_T, trial_views.tried, name="tried"),
    path(f"{_T}<uuid:identifier>/", trial_views.trial, name="trial"),
    path(f"{_T}<uuid:identifier>/cancel/", trial_views.cancel, name="cancel_trial"),
    path(_P, views.prediction, name="prediction"),
    path(f"{_P}brief/", views.brief, name="brief"),
    path(f"{_P}explain/", views.explain, name="explain"),
    path(f"{_P}<slug:key>/<slug:chart>.<slug:kind>", views.file, name="file"),
]

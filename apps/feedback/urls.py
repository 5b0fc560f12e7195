"""Page addresses of feedback."""

from django.urls import path

from apps.feedback import views

app_name = "feedback"
_P = "w/<slug:workspace_slug>/predictions/<uuid:identifier>/feedback/"

urlpatterns = [
    path(_P, views.prediction, name="prediction"),
    path(f"{_P}evaluate/", views.evaluate, name="evaluate"),
    path(f"{_P}withdraw/", views.withdraw, name="withdraw"),
    path(f"{_P}actual/", views.actual, name="actual"),
]

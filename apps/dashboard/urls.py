"""Addresses of home and search."""

from django.urls import path

from apps.dashboard import views

app_name = "dashboard"

urlpatterns = [
    path("", views.home, name="home"),
    path("w/<slug:workspace_slug>/", views.workspace_home, name="workspace"),
    path("search/", views.search, name="search"),
]

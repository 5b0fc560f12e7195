"""API addresses of people, workspaces and credentials."""

from django.urls import path

from apps.accounts import api

_W = "workspaces/<str:workspace>"

urlpatterns = [
    path("keyPairs", api.KeyPairs.as_view()),
    path("keyPairs/<uuid:identifier>", api.OneKeyPair.as_view()),
    path("users", api.Users.as_view()),
    path("users/<uuid:identifier>", api.OneUser.as_view()),
    path("users/<uuid:identifier>/twoFactor", api.TwoFactor.as_view()),
    path("workspaces", api.Workspaces.as_view()),
    path(_W, api.OneWorkspace.as_view()),
    path(f"{_W}/members", api.Members.as_view()),
    path(f"{_W}/members/<uuid:identifier>", api.OneMember.as_view()),
]

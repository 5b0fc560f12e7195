"""API addresses of models and versions."""

from django.urls import path

from apps.registry import api, source_api

_M = "workspaces/<str:workspace>/models"
_V = f"{_M}/<str:model>/versions"

_C = "workspaces/<str:workspace>/credentials"
_I = "workspaces/<str:workspace>/imports"
_R = "workspaces/<str:workspace>/repositories"

urlpatterns = [
    path(_C, source_api.Credentials.as_view()),
    path(f"{_C}/<str:credential>", source_api.OneCredential.as_view()),
    path(f"{_C}/<str:credential>/test", source_api.CredentialTest.as_view()),
    path(_R, source_api.Repositories.as_view()),
    path(f"{_R}/<str:repository>", source_api.OneRepository.as_view()),
    path(_I, source_api.Imports.as_view()),
    path(f"{_I}/<str:job>", source_api.OneImport.as_view()),
    path(f"{_I}/<str:job>/cancel", source_api.CancelImport.as_view()),
    path(f"{_I}/<str:job>/retry", source_api.RetryImport.as_view()),
    path(_M, api.Models.as_view()),
    path(f"{_M}/<str:model>", api.OneModel.as_view()),
    path(_V, api.Versions.as_view()),
    path(f"{_V}/<str:version>", api.OneVersion.as_view()),
    path(f"{_V}/<str:version>/artifact", api.ArtifactFile.as_view()),
    path(f"{_V}/<str:version>/overrideScan", api.OverrideScan.as_view()),
]

"""API addresses of deployments and use cases."""

from django.urls import path

from apps.deployments import (
    api,
    environment_api,
    explainer_api,
    token_api,
    transformer_api,
    variable_api,
)

_D = "workspaces/<str:workspace>/deployments"
_V = "workspaces/<str:workspace>/environmentVariables"

urlpatterns = [
    path("environments", environment_api.Environments.as_view()),
    path("environments/<str:environment>", environment_api.OneEnvironment.as_view()),
    path("environments/<str:environment>/cancel", environment_api.CancelBuild.as_view()),
    path("environments/<str:environment>/retry", environment_api.RetryBuild.as_view()),
    path(_V, variable_api.Variables.as_view()),
    path(f"{_V}/raw", variable_api.RawVariables.as_view()),
    path(f"{_V}/<uuid:identifier>", variable_api.OneVariable.as_view()),
    path("workspaces/<str:workspace>/useCases", api.UseCases.as_view()),
    path("workspaces/<str:workspace>/explainers", explainer_api.Modules.as_view()),
    path("workspaces/<str:workspace>/transformers", transformer_api.Modules.as_view()),
    path("workspaces/<str:workspace>/backgrounds", explainer_api.Backgrounds.as_view()),
    path("workspaces/<str:workspace>/explainerProposals", explainer_api.Proposals.as_view()),
    path(_D, api.Deployments.as_view()),
    path(f"{_D}/<str:deployment>", api.OneDeployment.as_view()),
    path(f"{_D}/<str:deployment>/description", api.Description.as_view()),
    path(f"{_D}/<str:deployment>/start", api.Desired.as_view(desired="running")),
    path(f"{_D}/<str:deployment>/stop", api.Desired.as_view(desired="stopped")),
    path(f"{_D}/<str:deployment>/revisions", api.Revisions.as_view()),
    path(f"{_D}/<str:deployment>/revisions/<int:number>/restore", api.Restore.as_view()),
    path(f"{_D}/<str:deployment>/log", api.Log.as_view()),
    path(f"{_D}/<str:deployment>/tokens", token_api.Tokens.as_view()),
    path(f"{_D}/<str:deployment>/tokens/<uuid:identifier>", token_api.OneToken.as_view()),
]

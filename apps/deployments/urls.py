"""Page addresses of deployments."""

from django.urls import path

from apps.deployments import (
    environment_views,
    explainer_views,
    flow,
    import_views,
    outside_views,
    token_views,
    transformer_views,
    variable_views,
    views,
)

app_name = "deployments"
_D = "w/<slug:workspace_slug>/deployments/"
_V = "w/<slug:workspace_slug>/settings/variables/"
_E = "settings/environments/"
_B = f"{_E}<uuid:identifier>/<slug:kind>/"

urlpatterns = [
    path(_D, views.deployment_list, name="list"),
    path(f"{_D}new/", flow.new, name="new"),
    path(f"{_D}new/endpoint/", outside_views.new, {"kind": "endpoint"}, name="new_endpoint"),
    path(
        f"{_D}new/registration/",
        outside_views.new,
        {"kind": "registration"},
        name="new_registration",
    ),
    path(f"{_D}new/explainer/", explainer_views.upload_module, name="new_explainer"),
    path(f"{_D}new/background/", explainer_views.upload, name="new_background"),
    path(f"{_D}new/transformer/", transformer_views.upload, name="new_transformer"),
    path(f"{_D}<slug:slug>/", views.detail, name="detail"),
    path(f"{_D}<slug:slug>/progress/", views.progress, name="progress"),
    path(f"{_D}<slug:slug>/import/retry/", import_views.retry, name="retry_import"),
    path(f"{_D}<slug:slug>/revisions/", views.revisions, name="revisions"),
    path(f"{_D}<slug:slug>/revisions/new/", views.revise, name="revise"),
    path(f"{_D}<slug:slug>/revisions/<int:number>/restore/", views.restore, name="restore"),
    path(f"{_D}<slug:slug>/settings/", views.edit, name="settings"),
    path(f"{_D}<slug:slug>/start/", views.switch, {"desired": "running"}, name="start"),
    path(f"{_D}<slug:slug>/stop/", views.switch, {"desired": "stopped"}, name="stop"),
    path(f"{_D}<slug:slug>/delete/", views.delete, name="delete"),
    path(f"{_D}<slug:slug>/log/", views.log, name="log"),
    path(f"{_D}<slug:slug>/tokens/", token_views.tokens, name="tokens"),
    path(
        f"{_D}<slug:slug>/tokens/<uuid:identifier>/revoke/",
        token_views.token_revoke,
        name="token_revoke",
    ),
    path(_V, variable_views.variables, name="variables"),
    path(f"{_V}<uuid:identifier>/", variable_views.variable_replace, name="variable_replace"),
    path(f"{_V}<uuid:identifier>/delete/", variable_views.variable_delete, name="variable_delete"),
    path(_E, environment_views.environment_list, name="environments"),
    path(f"{_E}<uuid:identifier>/", environment_views.environment_detail, name="environment"),
    path(f"{_B}cancel/", environment_views.environment_cancel, name="environment_cancel"),
    path(f"{_B}retry/", environment_views.environment_retry, name="environment_retry"),
    path(f"{_B}remove/", environment_views.environment_remove, name="environment_remove"),
]

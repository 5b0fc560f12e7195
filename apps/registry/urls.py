"""Addresses of the registry's pages."""

from django.urls import path

from apps.registry.views import (
    credentials,
    images,
    imports,
    models,
    repositories,
    uploads,
    versions,
)

app_name = "registry"

_M = "w/<slug:workspace_slug>/models"
_C = "w/<slug:workspace_slug>/credentials"
_I = f"{_M}/imports/<uuid:identifier>"
_R = "w/<slug:workspace_slug>/repositories"
_V = f"{_M}/<slug:model_slug>/<int:number>"

urlpatterns = [
    path(f"{_C}/", credentials.credential_list, name="credentials"),
    path(f"{_C}/new/", credentials.credential_new, name="credential_new"),
    path(f"{_C}/<uuid:identifier>/", credentials.credential, name="credential"),
    path(f"{_C}/<uuid:identifier>/test/", credentials.credential_test, name="credential_test"),
    path(f"{_C}/<uuid:identifier>/rename/", credentials.rename, name="credential_rename"),
    path(f"{_C}/<uuid:identifier>/delete/", credentials.delete, name="credential_delete"),
    path(f"{_R}/", repositories.repository_list, name="repositories"),
    path(f"{_R}/<uuid:identifier>/delete/", repositories.delete, name="repository_delete"),
    path(f"{_M}/imports/", imports.import_list, name="imports"),
    path(f"{_I}/", imports.import_detail, name="import"),
    path(f"{_I}/cancel/", imports.import_cancel, name="import_cancel"),
    path(f"{_I}/retry/", imports.import_retry, name="import_retry"),
    *(
        path(f"{_M}/{before}new/{kind}/", imports.import_new, {"kind": kind}, name=f"{name}_{kind}")
        for before, name in (("", "import"), ("<slug:model_slug>/", "import_version"))
        for kind in ("git", "files", "mlflow")
    ),
    path(f"{_M}/", models.model_list, name="model_list"),
    path(f"{_M}/new/", uploads.upload, name="upload"),
    path(f"{_M}/new/image/", images.add_image, name="add_image"),
    path(f"{_M}/card-preview/", uploads.card_preview, name="card_preview"),
    path(f"{_M}/drafts/<uuid:draft_id>/", uploads.draft, name="draft"),
    path(f"{_M}/drafts/<uuid:draft_id>/sample/", uploads.draft_sample, name="draft_sample"),
    path(f"{_M}/drafts/<uuid:draft_id>/discard/", uploads.discard, name="discard_draft"),
    path(f"{_M}/<slug:model_slug>/", models.model_detail, name="model_detail"),
    path(f"{_M}/<slug:model_slug>/edit/", models.model_edit, name="model_edit"),
    path(f"{_M}/<slug:model_slug>/delete/", models.model_delete, name="model_delete"),
    path(f"{_M}/<slug:model_slug>/new/", uploads.upload, name="upload_version"),
    path(f"{_M}/<slug:model_slug>/new/image/", images.add_image, name="add_image_version"),
    path(f"{_V}/", versions.version_detail, name="version_detail"),
    path(f"{_V}/cards/", versions.cards_edit, name="cards_edit"),
    path(f"{_V}/artifact/", versions.artifact, name="artifact"),
    path(f"{_V}/override/", versions.scan_override, name="scan_override"),
    path(f"{_V}/delete/", versions.version_delete, name="version_delete"),
]

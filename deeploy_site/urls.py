"""All addresses. API paths stand at the root, as the official client expects; pages of a
workspace under /w/, the organisation's under /settings/, a person's own under /account/."""

from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from apps.core.api import not_found
from apps.registry.links import internal_artifact
from deeploy_site import health
from deeploy_site import schema as schema  # registers its extensions

urlpatterns = [
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("account/", include("apps.accounts.sign_in_urls")),
    path("api/schema/", SpectacularAPIView.as_view(), name="schema"),
    path("", include("apps.accounts.api_urls")),
    path("", include("apps.accounts.urls")),
    path("", include("apps.dashboard.audit_api_urls")),
    path("", include("apps.dashboard.audit_urls")),
    # Its script has an address of its own, as the Content-Security-Policy wants.
    path("api/docs/", SpectacularSwaggerSplitView.as_view(url_name="schema"), name="api_docs"),
    path("internal/artifacts/<str:sha256>", internal_artifact, name="internal_artifact"),
    path("", include("apps.deployments.api_urls")),
    path("", include("apps.dashboard.urls")),
    path("", include("apps.explanations.urls")),
    path("", include("apps.feedback.urls")),
    path("", include("apps.feedback.review.urls")),
    path("", include("apps.monitoring.urls")),
    path("", include("apps.explanations.api_urls")),
    path("", include("apps.feedback.api_urls")),
    path("", include("apps.predictions.api_urls")),
    path("", include("apps.predictions.erasure_urls")),
    path("", include("apps.predictions.urls")),
    path("", include("apps.deployments.urls")),
    path("", include("apps.registry.api_urls")),
    path("", include("apps.registry.urls")),
    path("workspaces/<path:rest>", not_found),
]

handler400 = "deeploy_site.errors.bad_request"
handler403 = "deeploy_site.errors.forbidden"
handler404 = "deeploy_site.errors.not_found"
handler500 = "deeploy_site.errors.server_error"

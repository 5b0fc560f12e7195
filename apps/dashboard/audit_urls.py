"""Page addresses of the audit log."""

from django.urls import path

from apps.dashboard import audit_chain_views as chain
from apps.dashboard import audit_views as views

app_name = "audit"
_W = "w/<slug:workspace_slug>/audit/"

urlpatterns = [
    path("audit/", views.organisation, name="organisation"),
    path("audit/export.<str:form>", views.organisation_export, name="organisation_export"),
    path("audit/events/<int:number>/", views.organisation_event, name="organisation_event"),
    path("audit/chain/", chain.state, name="chain"),
    path("audit/chain/verify/", chain.verify, name="verify"),
    path("audit/chain/<uuid:identifier>/", chain.verification, name="verification"),
    path("audit/bundle/", chain.organisation_bundle, name="organisation_bundle"),
    path("audit/verify_bundle.py", chain.verifier, name="verifier"),
    path(_W, views.events, name="events"),
    path(f"{_W}bundle/", chain.bundle, name="bundle"),
    path(f"{_W}export.<str:form>", views.export, name="export"),
    path(f"{_W}events/<int:number>/", views.event, name="event"),
    path(f"{_W}<slug:object_type>/<str:object_id>/", views.object_events, name="object_events"),
]

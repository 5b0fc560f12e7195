"""Page addresses of people, workspaces and credentials."""

from django.urls import path

from apps.accounts.views import keys, members, organisation

app_name = "accounts"
_W = "w/<slug:workspace_slug>/"
_M = f"{_W}members/<uuid:identifier>/"
_P = "settings/people/<uuid:identifier>/"

urlpatterns = [
    path("account/keys/", keys.keys, name="keys"),
    path("account/keys/<uuid:identifier>/revoke/", keys.key_revoke, name="key_revoke"),
    path(f"{_W}members/", members.members, name="members"),
    path(f"{_M}role/", members.member_role, name="member_role"),
    path(f"{_M}remove/", members.member_remove, name="member_remove"),
    path(f"{_W}settings/", members.workspace_settings, name="workspace_settings"),
    path("settings/", organisation.organisation, name="organisation"),
    path("settings/workspaces/", organisation.workspaces, name="workspaces"),
    path(_P, organisation.person, name="person"),
    path(f"{_P}role/", organisation.person_role, name="person_role"),
    path(f"{_P}invite/", organisation.person_invite, name="person_invite"),
    path(
        f"{_P}keys/<uuid:key_identifier>/revoke/",
        organisation.person_key_revoke,
        name="person_key_revoke",
    ),
    *(
        path(f"{_P}{act}/", organisation.person_act, {"act": act}, name=f"person_{name}")
        for act, name in (
            ("deactivate", "deactivate"),
            ("reactivate", "reactivate"),
            ("reset-two-factor", "reset_two_factor"),
        )
    ),
]

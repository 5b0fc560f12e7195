"""Personas and workspaces that tests share."""

from functools import cache

import pytest
from django.contrib.auth.hashers import make_password
from django.test import Client
from hypothesis import HealthCheck, settings

from apps.accounts.models import Membership, User, Workspace

PASSWORD = "correct horse battery staple"
# A busy machine draws examples slowly; that says nothing of what is tested.
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")


@cache
def _hashed() -> str:
    """The real hash of the password, made once: it is slow by intent."""
    return make_password(PASSWORD)


def make_user(name: str, organisation_role: str = "user") -> User:
    return User.objects.create(
        email=f"{name}@example.org",
        password=_hashed(),
        name=name.title(),
        organisation_role=organisation_role,
    )


@pytest.fixture
def workspace(db: None) -> Workspace:
    return Workspace.objects.create(name="Retail credit", slug="retail-credit")


@pytest.fixture
def other_workspace(db: None) -> Workspace:
    return Workspace.objects.create(name="Fraud", slug="fraud")


def _member(workspace: Workspace, role: str) -> User:
    user = make_user(role)
    Membership.objects.create(workspace=workspace, user=user, role=role)
    return user


@pytest.fixture
def owner(workspace: Workspace) -> User:
    return _member(workspace, "owner")


@pytest.fixture
def operator(workspace: Workspace) -> User:
    return _member(workspace, "operator")


@pytest.fixture
def reviewer(workspace: Workspace) -> User:
    return _member(workspace, "reviewer")


@pytest.fixture
def outsider(other_workspace: Workspace) -> User:
    user = make_user("outsider")
    Membership.objects.create(workspace=other_workspace, user=user, role="owner")
    return user


@pytest.fixture
def admin(db: None) -> User:
    return make_user("admin", "admin")


@pytest.fixture
def governance(db: None) -> User:
    return make_user("governance", "governance")


@pytest.fixture
def auditor(db: None) -> User:
    return make_user("auditor", "auditor")


@pytest.fixture
def client_for():
    """A signed-in browser of a user."""

    def signed_in(user: User) -> Client:
        client = Client()
        client.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
        return client

    return signed_in

"""Every route there is: closed to strangers, and nothing in it is written by an auditor."""

import re
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
import skops.io
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, path
from django.utils import timezone
from sklearn.linear_model import LogisticRegression

from apps.accounts import services as accounts
from apps.accounts.models import User, Workspace
from apps.audit.models import Event
from apps.deployments.environments import builds, lists
from apps.deployments.services import create_deployment
from apps.feedback.review.services import create_queue
from apps.feedback.review.settings import QueueSettings
from apps.registry import services as registry
from apps.registry.services import Upload

# Open to anybody, each for its reason. Everything else wants a person or a credential.
OPEN = {
    "healthz",  # a load balancer asks
    "readyz",
    "api/schema/",  # describes the product; holds nothing of an installation
    "api/docs/",
    "account/login/",
    "account/signup/",  # says that accounts come by invitation
    "account/inactive/",
    "account/logout/",  # leads to the start
    "account/reauthenticate/",  # leads to the sign-in
    "account/password/reset/",
    "account/password/reset/done/",
    "account/password/reset/key/done/",
    r"account/^password/reset/key/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>.+)/$",
    "account/2fa/authenticate/",  # the second step of a sign-in
    "account/2fa/webauthn/login/",  # the challenge for a passkey
    "internal/artifacts/<str:sha256>",  # a node of a swarm asks, with a signature that expires
    # Not offered: 404 to everybody.
    r"account/^(?:email|confirm-email|password/set|login/code)/(.*)$",
    "account/email/",
    "account/confirm-email/",
    r"account/^confirm-email/(?P<key>[-:\w]+)/$",
    "account/password/set/",
    "account/login/code/confirm/",
}
# What anybody who signs in does to their own account, an auditor as well.
OWN = ("account/", "keyPairs")
# What an auditor asks for in order to read: exports and checks of the record. These leave only
# events, which say who looked.
LOOKING = {
    "audit/bundle/",
    "audit/chain/verify/",
    "w/<slug:workspace_slug>/audit/bundle/",
    "w/<slug:workspace_slug>/deployments/<slug:slug>/predictions/export/",
}
WRITING = ("POST", "PUT", "PATCH", "DELETE")


def routes(
    patterns: list[URLPattern | URLResolver] | None = None, before: str = ""
) -> Iterator[tuple[str, URLPattern]]:
    """All routes with the prefixes of their includes."""
    for pattern in get_resolver().url_patterns if patterns is None else patterns:
        route = before + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from routes(pattern.url_patterns, route)
        else:
            yield route, pattern


ALL = sorted({route for route, _ in routes()})


def address(route: str, things: dict[str, str]) -> str:
    """An address of the route with what stands there, or what could."""
    by_regex = {
        r"account/^(?:email|confirm-email|password/set|login/code)/(.*)$": "account/email/",
        r"account/^confirm-email/(?P<key>[-:\w]+)/$": "account/confirm-email/abc/",
        r"account/^password/reset/key/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>.+)/$": (
            "account/password/reset/key/1-abc/"
        ),
    }
    if route in by_regex:
        return f"/{by_regex[route]}"

    def value(match: re.Match[str]) -> str:
        kind, name = match["kind"], match["name"]
        before = route[: match.start()].rstrip("/").rpartition("/")[2]
        if f"{before} {name}" in things:
            return things[f"{before} {name}"]
        if name in things:
            return things[name]
        return {"uuid": str(uuid4()), "int": "1"}.get(kind, "something")

    return "/" + re.sub(r"<(?:(?P<kind>\w+):)?(?P<name>\w+)>", value, route)


@pytest.fixture
def things(workspace: Workspace, operator: User, owner: User, tmp_path: Path) -> dict[str, str]:
    """One of each, by the name of the parameter, or by what stands before it in the route."""
    skops.io.dump(LogisticRegression().fit([[0.0], [1.0]], [0, 1]), tmp_path / "m.skops")
    model = registry.create_model(workspace=workspace, name="Logistic", by=operator)
    upload = Upload("m.skops", [(tmp_path / "m.skops").read_bytes()])
    version = registry.add_version(model=model, artifact=upload, by=operator)
    deployment = create_deployment(
        workspace=workspace, name="Credit risk", model_version=version, by=operator
    )
    queue = create_queue(
        deployment=deployment, settings=QueueSettings("Doubtful"), by=operator, now=timezone.now()
    )
    token, _ = accounts.issue_token(
        workspace=workspace,
        deployment_id=deployment.id,
        deployment_name=deployment.name,
        name="Portal",
        scopes=["predict"],
        by=operator,
    )
    pair, _ = accounts.create_key_pair(user=operator, name="CI")
    environment = lists.shipped("pytorch")
    builds.ensure(environment=environment, kind="venv", now=timezone.now())
    return {
        "workspace": workspace.slug,
        "workspace_slug": workspace.slug,
        "slug": deployment.slug,
        "deployment": deployment.slug,
        "model": model.slug,
        "model_slug": model.slug,
        "version": str(version.number),
        "number": "1",
        "queue_id": str(queue.id),
        "tokens identifier": str(token.id),
        "members identifier": str(operator.memberships.get().id),
        "people identifier": str(operator.id),
        "users identifier": str(operator.id),
        "key_identifier": str(pair.id),
        "environments identifier": str(environment.id),
        "environment": str(environment.id),
        "kind": "venv",
    }


def is_closed(client: Client, where: str) -> bool:
    """True where somebody unknown gets no further than the sign-in."""
    answer = client.get(where)
    if answer.status_code == 302:
        return answer["Location"].startswith("/account/login/")
    return answer.status_code in (401, 405)


def test_every_open_route_is_listed(things: dict[str, str]) -> None:
    client = Client()
    found = {route for route in ALL if not is_closed(client, address(route, things))}
    assert sorted(found - OPEN) == []
    assert set(ALL) >= OPEN


def test_strangers_write_nothing(things: dict[str, str]) -> None:
    client, events = Client(), Event.objects.count()
    for route in set(ALL) - OPEN:
        for method in WRITING:
            answer = client.generic(method, address(route, things))
            allowed = answer.status_code in (401, 405) or (
                answer.status_code == 302 and answer["Location"].startswith("/account/login/")
            )
            assert allowed, f"{method} {route}: {answer.status_code}"
    assert Event.objects.count() == events


def test_an_auditor_writes_nothing_but_their_own_account(
    things: dict[str, str], auditor: User, client_for
) -> None:
    client, events = client_for(auditor), Event.objects.count()
    written = []
    for route in ALL:
        if route.startswith(OWN) or route in LOOKING:
            continue
        for method in WRITING:
            answer = client.generic(
                method, address(route, things), "{}", content_type="application/json"
            )
            if answer.status_code not in (403, 404, 405):
                written.append(f"{method} {route}: {answer.status_code}")
    assert written == [], "\n".join(written)
    assert Event.objects.count() == events


def test_an_auditor_meets_what_is_there(things: dict[str, str], auditor: User, client_for) -> None:
    """The walk above would prove nothing if its addresses led nowhere."""
    client = client_for(auditor)
    for where in (
        "w/<slug:workspace_slug>/deployments/<slug:slug>/tokens/",
        "workspaces/<str:workspace>/deployments/<str:deployment>/revisions",
        "workspaces/<str:workspace>/models/<str:model>/versions/<str:version>",
        "settings/people/<uuid:identifier>/",
        "settings/environments/<uuid:identifier>/",
        "environments/<str:environment>",
        "w/<slug:workspace_slug>/review/<uuid:queue_id>/",
        "users/<uuid:identifier>",
    ):
        assert client.get(address(where, things)).status_code == 200, where


@login_not_required
def planted(request: HttpRequest) -> HttpResponse:
    """Open, and in no list; takes every method."""
    return HttpResponse("open")


def test_a_planted_route_is_found(settings, things: dict[str, str]) -> None:
    settings.ROOT_URLCONF = (path("planted", planted),)
    assert [route for route, _ in routes()] == ["planted"]
    assert not is_closed(Client(), "/planted")

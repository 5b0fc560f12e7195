"""Pages and API of environments: who sees which, who may act, and what is said."""

import base64
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from apps.accounts import services as accounts
from apps.accounts.models import User, Workspace
from apps.audit.models import Event
from apps.deployments import services
from apps.deployments.environments import build_log
from apps.deployments.models import Component, Deployment, Environment, EnvironmentBuild
from apps.registry.models import Artifact, Model, ModelVersion
from tests.deployments.environments.conftest import Make

ClientFor = Callable[[User], Client]
ACTS = ("cancel", "retry", "remove")


@pytest.fixture
def build(make: Make) -> EnvironmentBuild:
    return make("little==1.0", "numpy==2.4.6", name="Small packages")


@pytest.fixture
def deployment(workspace: Workspace, operator: User, build: EnvironmentBuild) -> Deployment:
    """A deployment whose only revision runs in the environment."""
    artifact = Artifact.objects.create(
        workspace=workspace, sha256="0" * 64, size=1, scan={"risk": "none"}
    )
    model = Model.objects.create(workspace=workspace, name="M", slug="m", created_by=operator)
    version = ModelVersion.objects.create(
        model=model, number=1, artifact=artifact, framework="xgboost",
        format="xgboost-json", created_by=operator,
    )  # fmt: skip
    made = services.create_deployment(
        workspace=workspace, name="Credit", model_version=version, by=operator
    )
    Component.objects.update(environment=build.environment)
    return made


def detail(build: EnvironmentBuild) -> str:
    return reverse("deployments:environment", args=[build.environment_id])


def act(build: EnvironmentBuild, name: str) -> str:
    return reverse(f"deployments:environment_{name}", args=[build.environment_id, "venv"])


def ended(build: EnvironmentBuild, state: str, error: str = "") -> None:
    EnvironmentBuild.objects.filter(pk=build.pk).update(
        state=state, error=error, size=5_000_000, location="/nowhere"
    )


def test_the_list_names_packages_state_and_use(
    deployment: Deployment, reviewer: User, client_for: ClientFor
) -> None:
    text = client_for(reviewer).get(reverse("deployments:environments")).content.decode()
    assert "Small packages" in text
    assert "Waiting" in text
    assert "/w/retail-credit/deployments/credit/" in text


def test_an_empty_list_says_when_there_will_be_one(reviewer: User, client_for: ClientFor) -> None:
    text = client_for(reviewer).get(reverse("deployments:environments")).content.decode()
    assert "No environment was needed yet" in text


@pytest.mark.parametrize("name", ["admin", "governance", "auditor"])
def test_the_organisation_sees_all(
    name: str, build: EnvironmentBuild, client_for: ClientFor, request: pytest.FixtureRequest
) -> None:
    client = client_for(request.getfixturevalue(name))
    assert b"Small packages" in client.get(reverse("deployments:environments")).content
    assert client.get(detail(build)).status_code == 200


def test_strangers_find_nothing(
    deployment: Deployment, build: EnvironmentBuild, outsider: User, client_for: ClientFor
) -> None:
    client = client_for(outsider)
    assert b"Small packages" not in client.get(reverse("deployments:environments")).content
    assert client.get(detail(build)).status_code == 404
    assert [client.post(act(build, name)).status_code for name in ACTS] == [404, 404, 404]


@pytest.mark.parametrize("name", ["reviewer", "auditor", "governance"])
def test_who_may_only_read_changes_nothing(
    name: str,
    deployment: Deployment,
    build: EnvironmentBuild,
    client_for: ClientFor,
    request: pytest.FixtureRequest,
) -> None:
    client = client_for(request.getfixturevalue(name))
    assert [client.post(act(build, each)).status_code for each in ACTS] == [403, 403, 403]
    assert b"Cancel the build" not in client.get(detail(build)).content


def test_nobody_is_somebody(build: EnvironmentBuild) -> None:
    client = Client()
    for path in (reverse("deployments:environments"), detail(build)):
        assert client.get(path).status_code == 302
    assert [client.post(act(build, name)).status_code for name in ACTS] == [302, 302, 302]
    build.refresh_from_db()
    assert build.state == "pending"


def test_reading_never_writes(build: EnvironmentBuild, admin: User, client_for: ClientFor) -> None:
    client = client_for(admin)
    assert [client.get(act(build, name)).status_code for name in ACTS] == [405, 405, 405]
    assert client.post(detail(build)).status_code == 405
    assert client.post(reverse("deployments:environments")).status_code == 405


def test_a_kind_that_was_not_built_is_not_there(
    build: EnvironmentBuild, admin: User, client_for: ClientFor
) -> None:
    path = reverse("deployments:environment_cancel", args=[build.environment_id, "image"])
    assert client_for(admin).post(path).status_code == 404


def test_the_log_polls_while_the_build_is_under_way_and_then_stops(
    build: EnvironmentBuild, admin: User, client_for: ClientFor
) -> None:
    with build_log.BuildLog(build_log.path_of(build.environment.digest, "venv")) as log:
        log.write("Collecting little==1.0")
    client = client_for(admin)
    fragment = client.get(detail(build), headers={"HX-Request": "true"})
    assert b"<html" not in fragment.content
    assert b"Collecting little==1.0" in fragment.content
    assert b'hx-trigger="every 1s"' in fragment.content
    assert fragment.headers["Vary"].startswith("HX-Request")
    ended(build, "ready")
    page = client.get(detail(build))
    assert b"<html" in page.content
    assert b'hx-trigger="every 1s"' not in page.content


def test_the_page_of_an_environment_that_was_given_up_leads_to_the_list(
    build: EnvironmentBuild, admin: User, client_for: ClientFor
) -> None:
    path = detail(build)
    Environment.objects.all().delete()
    answer = client_for(admin).get(path, headers={"HX-Request": "true"})
    assert answer.headers["HX-Redirect"] == reverse("deployments:environments")


def test_an_operator_cancels_and_tries_again(
    deployment: Deployment, build: EnvironmentBuild, operator: User, client_for: ClientFor
) -> None:
    client = client_for(operator)
    answer = client.post(act(build, "cancel"), follow=True)
    assert "operator" in answer.content.decode().lower()
    build.refresh_from_db()
    assert (build.state, build.error) == ("cancelled", "Operator cancelled it.")
    client.post(act(build, "retry"))
    build.refresh_from_db()
    assert (build.state, build.error) == ("pending", "")
    names = Event.objects.filter(object_type="environment").values_list("name", flat=True)
    assert set(names) == {"environment.cancelled", "environment.retried"}


def test_what_does_not_fit_the_state_is_said(
    build: EnvironmentBuild, admin: User, client_for: ClientFor
) -> None:
    text = client_for(admin).post(act(build, "retry"), follow=True).content.decode()
    assert "Only a build that failed or was cancelled can be tried again." in text


def test_an_operator_of_one_workspace_does_not_decide_for_another(
    deployment: Deployment,
    build: EnvironmentBuild,
    other_workspace: Workspace,
    operator: User,
    outsider: User,
    client_for: ClientFor,
) -> None:
    version = ModelVersion.objects.get()
    Model.objects.update(workspace=other_workspace)
    version.refresh_from_db()
    services.create_deployment(
        workspace=other_workspace, name="Fraud", model_version=version, by=outsider
    )
    Component.objects.update(environment=build.environment)
    client = client_for(operator)
    assert client.post(act(build, "cancel")).status_code == 403
    assert b"Fraud" not in client.get(detail(build)).content


def test_an_admin_removes_what_nothing_uses(
    build: EnvironmentBuild, admin: User, client_for: ClientFor
) -> None:
    ended(build, "failed", "It failed.")
    answer = client_for(admin).post(act(build, "remove"))
    assert answer.headers["Location"] == reverse("deployments:environments")
    assert not Environment.objects.exists()


def test_what_deployments_run_in_stays(
    deployment: Deployment, build: EnvironmentBuild, admin: User, client_for: ClientFor
) -> None:
    ended(build, "ready")
    client = client_for(admin)
    assert b"Remove it now" not in client.get(detail(build)).content
    text = client.post(act(build, "remove"), follow=True).content.decode()
    assert "Deployments run in this environment, so it stays." in text
    assert Environment.objects.exists()


def test_a_list_costs_the_same_for_many(
    make: Make, admin: User, client_for: ClientFor, django_assert_max_num_queries: Any
) -> None:
    for number in range(6):
        make(f"little=={number}.0")
    client = client_for(admin)
    with django_assert_max_num_queries(8):
        assert b"Small" in client.get(reverse("deployments:environments")).content


def test_the_progress_page_shows_the_build(
    deployment: Deployment, build: EnvironmentBuild, reviewer: User, client_for: ClientFor
) -> None:
    deployment.revisions.update(state="building", state_at=timezone.now())
    with build_log.BuildLog(build_log.path_of(build.environment.digest, "venv")) as log:
        log.write("Collecting little==1.0")
    path = reverse("deployments:progress", args=["retail-credit", "credit"])
    text = client_for(reviewer).get(path).content.decode()
    assert "Building the environment of packages" in text
    assert "Collecting little==1.0" in text
    assert detail(build) in text
    assert 'hx-trigger="every 1s"' in text


class Api:
    """A program with a key pair of `user`."""

    def __init__(self, user: User) -> None:
        pair, secret = accounts.create_key_pair(user=user, name="test")
        code = base64.b64encode(f"{pair.access_key}:{secret}".encode()).decode()
        self.headers = {"authorization": f"Basic {code}"}

    def call(self, method: str, path: str) -> tuple[int, Any]:
        answer = Client().generic(
            method, path, content_type="application/json", headers=self.headers
        )
        return answer.status_code, answer.json()


def test_the_api_tells_the_same(
    deployment: Deployment, build: EnvironmentBuild, operator: User
) -> None:
    api, path = Api(operator), f"/environments/{build.environment_id}"
    status, found = api.call("GET", path)
    assert status == 200
    assert found["packages"] == ["little==1.0", "numpy==2.4.6"]
    assert found["usedBy"][0]["deploymentId"] == str(deployment.id)
    assert found.pop("logs") == {"venv": ""}
    assert api.call("GET", "/environments") == (200, [found])
    status, cancelled = api.call("POST", f"{path}/cancel")
    assert (status, cancelled["builds"][0]["state"]) == (200, "cancelled")
    assert Event.objects.get(name="environment.cancelled").actor_kind == "key_pair"
    assert api.call("POST", f"{path}/retry")[1]["builds"][0]["state"] == "pending"
    status, answer = api.call("POST", f"{path}/retry")
    assert (status, answer["statusCode"]) == (409, 409)


def test_the_api_is_closed_to_strangers_and_readers(
    deployment: Deployment, build: EnvironmentBuild, outsider: User, auditor: User
) -> None:
    path = f"/environments/{build.environment_id}"
    assert Api(outsider).call("GET", path)[0] == 404
    assert Api(outsider).call("POST", f"{path}/cancel")[0] == 404
    assert Api(auditor).call("POST", f"{path}/cancel")[0] == 403
    assert Api(auditor).call("GET", "/environments/nothing")[0] == 404
    assert Api(auditor).call("DELETE", path)[0] == 405
    assert Client().get(path).status_code == 401

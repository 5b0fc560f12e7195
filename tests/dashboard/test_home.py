"""Home: is everything all right, and what waits for me?"""

from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.accounts.models import Membership, User, Workspace
from apps.deployments import services as deployments
from apps.deployments.models import Deployment, Replica, Revision
from apps.monitoring import services as monitoring
from apps.registry import services as registry
from apps.registry.models import ModelVersion
from apps.registry.services import Upload
from tests.conftest import make_user
from tests.monitoring.conftest import request_of

pytestmark = pytest.mark.django_db
WORKSPACE = "/w/retail-credit/"


def get(client: Client, path: str = WORKSPACE, **headers: str) -> str:
    answer = client.get(path, headers=headers)
    assert answer.status_code == 200
    return answer.content.decode()


def activate(deployment: Deployment, *, ready: bool = True) -> Revision:
    """Puts the newest revision where the controller would."""
    revision = deployment.revisions.all()[0]
    Revision.objects.filter(id=revision.id).update(state="active")
    Deployment.objects.filter(id=deployment.id).update(active_revision=revision)
    if ready:
        component = revision.components.get()
        Replica.objects.create(component=component, state="ready", state_at=timezone.now())
    return revision


def test_it_shows_each_deployment_with_its_state_and_traffic(
    deployment: Deployment,
    reviewer: User,
    client_for: Any,
    write: Callable[..., UUID],
    recent: datetime,
) -> None:
    activate(deployment)
    write(
        request_of(deployment, recent, ["{}"] * 5), request_of(deployment, recent, statusCode=400)
    )
    monitoring.roll_up(now=recent)
    page = get(client_for(reviewer))
    for shown in ("Consumer credit", "Serving", "r1", "Credit risk 1", "50.00", "1.51", "failed"):
        assert shown in page
    assert "The deployment is serving." in page
    assert "Nothing waits for you." in page


def test_a_failed_revision_waits_first_with_its_error(
    deployment: Deployment, operator: User, client_for: Any
) -> None:
    deployment.revisions.update(state="failed", error="The model needs lightgbm.")
    page = get(client_for(operator))
    assert "1 deployment of 1 does not answer." in page
    assert "The model needs lightgbm." in page
    assert f"{WORKSPACE}deployments/consumer-credit/progress/" in page


def test_a_deployment_without_a_ready_server_is_named(
    deployment: Deployment, operator: User, client_for: Any
) -> None:
    activate(deployment, ready=False)
    page = get(client_for(operator))
    assert "No model server of r1 is ready." in page


def test_a_stopped_deployment_waits_for_nobody(
    deployment: Deployment, operator: User, client_for: Any
) -> None:
    activate(deployment, ready=False)
    deployments.set_desired(deployment=deployment, desired="stopped", by=operator.actor)
    page = get(client_for(operator))
    assert "Stopped" in page
    assert "Waits for you" not in page


def test_blocked_versions_wait_for_those_who_may_answer_for_them(
    version: ModelVersion, operator: User, reviewer: User, client_for: Any
) -> None:
    version.artifact.scan = {"risk": "dangerous", "findings": []}
    version.artifact.save()
    assert "Blocked" in get(client_for(operator))
    assert "Blocked" not in get(client_for(reviewer))


def test_my_drafts_wait_for_me_alone(
    workspace: Workspace, operator: User, owner: User, client_for: Any, files: dict[str, bytes]
) -> None:
    registry.stage_upload(
        workspace=workspace, artifact=Upload("churn.skops", [files["model.skops"]]), by=operator
    )
    assert "/models/drafts/" in get(client_for(operator))
    assert "/models/drafts/" not in get(client_for(owner))


def test_the_first_steps_lead_on_until_the_first_call(
    deployment: Deployment,
    operator: User,
    client_for: Any,
    write: Callable[..., UUID],
    recent: datetime,
) -> None:
    client = client_for(operator)
    assert f"{WORKSPACE}deployments/consumer-credit/try/" in get(client)
    write(request_of(deployment, recent, ["{}"]))
    monitoring.roll_up(now=recent)
    assert "From a file to a recorded prediction" not in get(client)


def test_an_empty_workspace_shows_the_way_to_those_who_may_go_it(
    workspace: Workspace, operator: User, reviewer: User, client_for: Any
) -> None:
    assert f"{WORKSPACE}models/new/" in get(client_for(operator))
    page = get(client_for(reviewer))
    assert "Nothing is deployed here yet" in page
    assert "/models/new/" not in page


def test_latest_changes_are_shown(deployment: Deployment, auditor: User, client_for: Any) -> None:
    assert "was created for" in get(client_for(auditor))


def test_home_of_one_workspace_is_that_workspace(
    deployment: Deployment, reviewer: User, client_for: Any
) -> None:
    assert f"{WORKSPACE}deployments/" in get(client_for(reviewer), "/")


def test_home_of_several_names_the_workspace_of_each(
    deployment: Deployment, other_workspace: Workspace, reviewer: User, client_for: Any
) -> None:
    Membership.objects.create(workspace=other_workspace, user=reviewer, role="reviewer")
    page = get(client_for(reviewer), "/")
    assert "All workspaces" in page
    assert "Consumer credit" in page


def test_another_workspaces_deployments_stay_hidden(
    deployment: Deployment, outsider: User, client_for: Any
) -> None:
    page = get(client_for(outsider), "/")
    assert "Consumer credit" not in page
    assert "was created for" not in page


def test_a_person_without_a_workspace_is_told_what_to_do(db: None, client_for: Any) -> None:
    page = get(client_for(make_user("newcomer")), "/")
    assert "You are in no workspace yet" in page
    assert "newcomer@example.org" in page


def test_by_htmx_the_overview_comes_alone(
    deployment: Deployment, reviewer: User, client_for: Any
) -> None:
    page = get(client_for(reviewer), **{"HX-Request": "true"})
    assert "<html" not in page
    assert "Consumer credit" in page


@pytest.mark.parametrize("path", ["/", WORKSPACE])
def test_the_queries_do_not_grow_with_the_deployments(
    path: str,
    deployment: Deployment,
    version: ModelVersion,
    operator: User,
    client_for: Any,
    django_assert_num_queries: Any,
) -> None:
    client = client_for(operator)
    activate(deployment)
    with CaptureQueriesContext(connection) as one:
        get(client, path)
    for number in range(6):
        made = deployments.create_deployment(
            workspace=deployment.workspace, name=f"D{number}", model_version=version, by=operator
        )
        activate(made)
    with django_assert_num_queries(len(one)):
        get(client, path)


@pytest.mark.parametrize("path", ["/", WORKSPACE])
def test_the_anonymous_sign_in_and_nothing_is_posted(
    path: str, workspace: Workspace, operator: User, client_for: Any
) -> None:
    assert "/account/login/" in Client().get(path)["Location"]
    assert client_for(operator).post(path).status_code == 405


def test_strangers_find_no_such_workspace(
    workspace: Workspace, outsider: User, client_for: Any
) -> None:
    assert client_for(outsider).get(WORKSPACE).status_code == 404

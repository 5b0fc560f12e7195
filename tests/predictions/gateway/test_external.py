"""Predictions of an endpoint elsewhere: every way to prove who calls, every way to fail."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from apps.accounts import services as accounts
from apps.accounts.models import User, Workspace
from apps.deployments import external
from apps.deployments.external import About, EndpointWish
from apps.deployments.models import Deployment
from apps.deployments.reconcile import Reconciler
from apps.monitoring.models import TrafficHour
from apps.monitoring.services import roll_up
from apps.predictions.models import PredictionRecord, RequestRecord
from apps.predictions.verification import verify_seals
from tests.elsewhere import PASSWORD, USER, Elsewhere
from tests.live import LiveServer

CASE = {"income": 1234.5}
EXAMPLE = {
    "problemType": "regression",
    "features": [{"name": "income", "type": "number"}],
    "exampleInput": {"instances": [{"income": 100.0}]},
}
FEATURES = {"features": EXAMPLE["features"], "problemType": "regression"}


@dataclass
class Calling:
    """A deployment in front of an endpoint, and a way to call it."""

    deployment: Deployment
    server: LiveServer
    text: str
    reconciler: Reconciler

    def predict(self, body: Any) -> tuple[int, Any, dict[str, str]]:
        headers = {"Authorization": f"Bearer {self.text}"}
        path = f"/workspaces/{self.deployment.workspace.slug}/deployments/{self.deployment.slug}"
        return self.server.request("POST", f"{path}/predict", body, headers)


Connect = Callable[..., Calling]


@pytest.fixture
def elsewhere(settings: Any) -> Iterator[Elsewhere]:
    settings.OUTBOUND_ALLOW = ["127.0.0.1"]
    place = Elsewhere()
    yield place
    place.close()


@pytest.fixture
def connect(
    transactional_db: None, workspace: Workspace, operator: User, elsewhere: Elsewhere
) -> Iterator[Connect]:
    """Deploys an endpoint and waits until it takes calls. Without an example in the metadata the
    check only asks whether it is there."""
    servers: list[LiveServer] = []
    reconcilers: list[Reconciler] = []

    def connected(
        path: str, metadata: dict[str, Any] = FEATURES, url: str = "", **wish: Any
    ) -> Calling:
        deployment = external.create_external(
            workspace=workspace,
            name="Bureau score",
            wish=EndpointWish(url=url or elsewhere.url(path), **wish),
            about=About(metadata),
            by=operator,
        )
        _, text = accounts.issue_token(
            workspace=workspace,
            deployment_id=deployment.id,
            deployment_name=deployment.name,
            name="Portal",
            scopes=["predict"],
            by=operator,
        )
        reconciler = Reconciler()
        reconcilers.append(reconciler)
        settle(reconciler, deployment)
        server = LiveServer(OUTBOUND_ALLOW="127.0.0.1").start()
        servers.append(server)
        return Calling(deployment, server, text, reconciler)

    yield connected
    for server in servers:
        server.stop()
    for reconciler in reconcilers:
        reconciler.stop_everything(timezone.now())


def settle(reconciler: Reconciler, deployment: Deployment, seconds: float = 10) -> None:
    """Until the newest revision serves or has failed."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        reconciler.tick(timezone.now())
        deployment.refresh_from_db()
        if deployment.revisions.order_by("-number")[0].state in ("active", "failed"):
            return
        time.sleep(0.02)
    raise AssertionError("the controller did not come to an end")


@pytest.mark.parametrize("mapping", ["v1", "v2"])
def test_predicts_records_and_seals_like_our_own(connect: Connect, mapping: str) -> None:
    calling = connect(f"/{mapping}", EXAMPLE, mapping=mapping)
    status, body, headers = calling.predict({"instances": [CASE, {"income": 200.0}]})
    assert (status, body["predictions"]) == (200, [12.345, 2.0])
    request = RequestRecord.objects.get(id=headers["x-request-log-id"])
    assert (request.count, (request.model_us or 0) > 0) == (2, True)
    assert [p.outcome for p in request.predictions.order_by("position")] == ["12.345", "2.0"]
    assert list(verify_seals()) == []


def test_counts_in_the_rollups(connect: Connect) -> None:
    calling = connect("/v1")
    calling.predict({"instances": [CASE]})
    roll_up(now=timezone.now())
    hours = TrafficHour.objects.filter(deployment=calling.deployment)
    assert [hour.predictions for hour in hours] == [1]


def test_as_it_is_sends_the_document_and_gives_the_answer_back(connect: Connect) -> None:
    calling = connect("/chat", {}, mapping="as-is")
    status, body, headers = calling.predict({"prompt": "abc"})
    assert (status, body) == (200, {"said": "cba", "usage": {"tokens": 3}})
    record = PredictionRecord.objects.get(request=headers["x-request-log-id"])
    assert (record.input_value, record.output_value) == ({"prompt": "abc"}, body)


@pytest.mark.parametrize(
    ("authentication", "username", "password"),
    [("basic", USER, PASSWORD), ("bearer", "", "s3cret"), ("custom", "X-Api-Key", "s3cret")],
)
def test_proves_who_calls(
    connect: Connect, authentication: str, username: str, password: str
) -> None:
    calling = connect(
        f"/{authentication}",
        EXAMPLE,
        authentication=authentication,
        username=username,
        password=password,
    )
    assert calling.predict({"instances": [CASE]})[0] == 200


def oauth(elsewhere: Elsewhere) -> dict[str, str]:
    return {
        "authentication": "oauth",
        "username": "client",
        "password": "s3cret",
        "token_url": elsewhere.url("/token"),
        "scope": "score read",
    }


def test_oauth_asks_for_one_token_and_keeps_it(connect: Connect, elsewhere: Elsewhere) -> None:
    calling = connect("/oauth", EXAMPLE, **oauth(elsewhere))
    elsewhere.calls.clear()
    assert {calling.predict({"instances": [CASE]})[0] for _ in range(3)} == {200}
    asked = [content for path, _, content in elsewhere.calls if path == "/token"]
    assert asked == [{"grant_type": ["client_credentials"], "scope": ["score read"]}]


def test_oauth_renews_a_token_a_minute_early(connect: Connect, elsewhere: Elsewhere) -> None:
    calling = connect("/oauth", EXAMPLE, **oauth(elsewhere))
    elsewhere.token_seconds = 61
    calling.predict({"instances": [CASE]})
    time.sleep(1.1)
    elsewhere.calls.clear()
    calling.predict({"instances": [CASE]})
    assert [path for path, _, _ in elsewhere.calls] == ["/token", "/oauth"]


def test_oauth_replaces_a_token_that_is_no_longer_taken(
    connect: Connect, elsewhere: Elsewhere
) -> None:
    calling = connect("/oauth", EXAMPLE, **oauth(elsewhere))
    calling.predict({"instances": [CASE]})
    elsewhere.tokens.append("another")
    assert calling.predict({"instances": [CASE]})[0] == 200


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/error", 502, "127.0.0.1 answered with status 500. out of memory"),
        ("/refuses", 400, "127.0.0.1 refused the request (422). income is negative"),
        ("/basic", 502, "127.0.0.1 does not take the credentials (401). who are you?"),
        ("/words", 502, "127.0.0.1 answered with something that is not JSON."),
        ("/other", 502, "The model's answer has no list of predictions."),
        ("/fewer", 502, "127.0.0.1 gave 1 outputs for 2 instances."),
        ("/large", 502, "127.0.0.1 sent more than 1,048,576 bytes, the limit here."),
        ("/redirect", 502, "127.0.0.1 answered with a redirect, which is not followed."),
        ("/hangs-up", 502, "127.0.0.1 closed the connection before it answered."),
        ("/slow", 504, "127.0.0.1 did not answer within 1 seconds."),
    ],
)
def test_a_failure_says_whose_it_is_and_is_recorded(
    connect: Connect, path: str, status: int, words: str
) -> None:
    calling = connect(path, timeout_seconds=1, max_answer_mb=1)
    said, body, headers = calling.predict({"instances": [CASE, CASE]})
    assert (said, words in body["message"]) == (status, True), body["message"]
    record = RequestRecord.objects.get(id=headers["x-request-log-id"])
    assert (record.status_code, record.error) == (status, body["message"])


def test_a_redirect_is_not_asked_for_what_it_leads_to(
    connect: Connect, elsewhere: Elsewhere
) -> None:
    calling = connect("/redirect")
    calling.predict({"instances": [CASE]})
    assert [path for path, _, _ in elsewhere.calls] == ["/redirect"]


def test_what_the_endpoint_did_not_finish_is_not_asked_twice(
    connect: Connect, elsewhere: Elsewhere
) -> None:
    calling = connect("/hangs-up")
    calling.predict({"instances": [CASE]})
    assert [path for path, _, _ in elsewhere.calls] == ["/hangs-up"]


def test_an_address_that_is_no_longer_allowed_is_not_called(
    connect: Connect, elsewhere: Elsewhere
) -> None:
    calling = connect("/v1")
    calling.server.stop()
    calling.server.environment["OUTBOUND_ALLOW"] = ""
    calling.server.start()
    status, body, _ = calling.predict({"instances": [CASE]})
    assert (status, "may not be called from here" in body["message"]) == (502, True)
    assert elsewhere.calls == []


def test_an_endpoint_that_is_gone_is_a_502(connect: Connect, elsewhere: Elsewhere) -> None:
    calling = connect("/v1")
    elsewhere.close()
    status, body, _ = calling.predict({"instances": [CASE]})
    assert (status, "127.0.0.1 cannot be reached" in body["message"]) == (502, True)


def test_a_certificate_that_nobody_vouches_for_fails_the_revision(
    connect: Connect, tmp_path: Path
) -> None:
    place = Elsewhere(tmp_path)
    try:
        calling = connect("", url=place.url("/v1"))
    finally:
        place.close()
    failed = calling.deployment.revisions.get()
    assert (failed.state, "certificate" in failed.error) == ("failed", True)
    assert place.calls == []


def test_a_revision_that_fails_its_check_leaves_the_old_one_serving(
    connect: Connect, elsewhere: Elsewhere, operator: User
) -> None:
    calling = connect("/v1", EXAMPLE)
    wish = EndpointWish(url=elsewhere.url("/error"))
    external.revise_external(deployment=calling.deployment, wish=wish, by=operator)
    settle(calling.reconciler, calling.deployment)
    failed = calling.deployment.revisions.get(number=2)
    assert "answered with status 500. out of memory" in failed.error
    assert calling.predict({"instances": [CASE]})[0] == 200


def test_a_registration_answers_409_in_words(
    connect: Connect, workspace: Workspace, operator: User
) -> None:
    calling = connect("/v1")
    entry = external.create_registration(workspace=workspace, name="Fraud rules", by=operator)
    _, text = accounts.issue_token(
        workspace=workspace,
        deployment_id=entry.id,
        deployment_name=entry.name,
        name="x",
        scopes=["predict"],
        by=operator,
    )
    time.sleep(0.3)
    status, body, _ = Calling(entry, calling.server, text, calling.reconciler).predict(b"{")
    assert (status, "entry of the inventory" in body["message"]) == (409, True)

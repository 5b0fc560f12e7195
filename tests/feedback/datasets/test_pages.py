"""Data sets on the page and by the API: who may, what is said, and what comes down."""

import hashlib
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from apps.accounts.models import User
from apps.audit.models import Event
from apps.deployments.models import Deployment
from apps.feedback.datasets.models import DataSetExport, OptOut
from tests.feedback.conftest import Caller
from tests.feedback.datasets.conftest import Labels
from tests.feedback.test_api import token

Make = Callable[..., DataSetExport]


@pytest.fixture
def page(deployment: Deployment) -> str:
    return f"/w/{deployment.workspace.slug}/deployments/{deployment.slug}/datasets/"


@pytest.fixture
def dataset(labels: Labels, make: Make) -> DataSetExport:
    labels.turned_out(labels.predicted("A"), "good")
    return make(format="csv")


def sent(client: Client, path: str) -> bytes:
    answer = client.post(path)
    assert answer.status_code == 200
    return b"".join(answer.streaming_content)  # type: ignore[attr-defined]


# The page


def test_an_empty_page_says_what_to_do(client_for: Any, operator: User, page: str) -> None:
    content = client_for(operator).get(page).content.decode()
    assert "No data set yet" in content
    assert "an actual that was reported" in content


def test_asking_makes_the_next_version(client_for: Any, operator: User, page: str) -> None:
    sent = {"format": "csv", "sources": ["actual"], "revisions": ["1"], "classes": ["good"]}
    answer = client_for(operator).post(page, sent)
    assert (answer.status_code, answer["Location"]) == (302, page)
    dataset = DataSetExport.objects.get()
    assert (dataset.version, dataset.state, dataset.format) == (1, "waiting", "csv")
    assert dataset.filters["revisions"] == [1]
    assert (dataset.filters["classes"], dataset.filters["sources"]) == (["good"], ["actual"])


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"sources": []}, "This field is required"),
        ({"start": "2026-02-01T00:00", "end": "2026-01-01T00:00"}, "ends before it begins"),
        ({"revisions": ["7"]}, "not one of the available choices"),
    ],
)
def test_a_bad_form_says_what_is_wrong_and_keeps_the_rest(
    client_for: Any, operator: User, page: str, wrong: Any, words: str
) -> None:
    given = {"format": "csv", "sources": ["actual"]} | wrong
    answer = client_for(operator).post(page, given)
    content = answer.content.decode()
    assert (answer.status_code, words in content) == (400, True)
    assert 'value="csv" selected' in content
    assert not DataSetExport.objects.exists()


def test_one_at_a_time(client_for: Any, operator: User, page: str) -> None:
    client, given = client_for(operator), {"format": "csv", "sources": ["actual"]}
    client.post(page, given)
    answer = client.post(page, given)
    assert answer.status_code == 400
    assert "is being made" in answer.content.decode()


def test_the_list_polls_while_something_is_made(
    client_for: Any, operator: User, page: str, dataset: DataSetExport
) -> None:
    client = client_for(operator)
    fragment = {"headers": {"hx-request": "true"}}
    assert "every 2s" not in client.get(page, **fragment).content.decode()
    client.post(page, {"format": "csv", "sources": ["actual"]})
    answer = client.get(page, **fragment)
    content = answer.content.decode()
    assert "every 2s" in content
    assert "<html" not in content
    assert "HX-Request" in answer["Vary"]


def test_the_download_has_its_checksum_and_is_recorded(
    client_for: Any, auditor: User, page: str, dataset: DataSetExport
) -> None:
    content = sent(client_for(auditor), f"{page}{dataset.id}/file/")
    assert hashlib.sha256(content).hexdigest() == dataset.sha256
    event = Event.objects.filter(name="dataset.taken").get()
    assert event.actor_name == str(auditor)


def test_what_was_removed_says_why(
    client_for: Any, operator: User, page: str, dataset: DataSetExport
) -> None:
    client = client_for(operator)
    client.post(f"{page}opt-outs/", {"custom_id": "A"})
    answer = client.post(f"{page}{dataset.id}/file/", follow=True)
    assert "opted out after it was made" in answer.content.decode()


def test_opting_out_and_in_on_the_page(client_for: Any, operator: User, page: str) -> None:
    client = client_for(operator)
    assert client.post(f"{page}opt-outs/", {"custom_id": "A-7"}).status_code == 302
    assert "A-7" in client.get(page).content.decode()
    again = client.post(f"{page}opt-outs/", {"custom_id": "A-7"})
    assert (again.status_code, "opted out already" in again.content.decode()) == (409, True)
    client.post(f"{page}opt-outs/{OptOut.objects.get().id}/end/")
    assert not OptOut.objects.exists()


def test_who_may_on_the_page(
    client_for: Any,
    page: str,
    dataset: DataSetExport,
    reviewer: User,
    auditor: User,
    outsider: User,
) -> None:
    posts = {"": {"format": "csv", "sources": ["actual"]}, "opt-outs/": {"custom_id": "A"}}
    for user, looks, makes in ((reviewer, 200, 403), (auditor, 200, 403), (outsider, 404, 404)):
        client = client_for(user)
        assert client.get(page).status_code == looks
        for path, body in posts.items():
            assert client.post(page + path, body).status_code == makes
        end = f"{page}opt-outs/{uuid4()}/end/"
        assert client.post(end).status_code == makes
    assert client_for(outsider).post(f"{page}{dataset.id}/file/").status_code == 404
    assert Client().get(page).status_code == 302
    assert client_for(reviewer).get(f"{page}{dataset.id}/file/").status_code == 405


def test_the_number_of_queries_does_not_grow(
    client_for: Any, operator: User, page: str, dataset: DataSetExport, make: Make
) -> None:
    client = client_for(operator)

    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            client.get(page)
        return len(captured)

    before = queries()
    make()
    make()
    assert queries() == before


# The API


def test_a_training_job_asks_follows_and_pulls(
    deployment: Deployment, operator: User, dataset: DataSetExport
) -> None:
    caller = Caller(deployment, user=operator)
    status, body = caller.call("POST", "datasets", {"format": "parquet", "sources": ["actual"]})
    assert (status, body["version"], body["state"]) == (202, 2, "waiting")
    assert caller.call("GET", f"datasets/{body['id']}")[1]["state"] == "waiting"
    assert caller.call("GET", f"datasets/{body['id']}/file")[0] == 409
    assert [each["version"] for each in caller.call("GET", "datasets")[1]] == [2, 1]
    answer = Client().get(f"{caller.base}datasets/newest/file", headers=caller.headers)
    content = b"".join(answer.streaming_content)  # type: ignore[attr-defined]
    assert hashlib.sha256(content).hexdigest() == answer["X-Content-SHA256"] == dataset.sha256
    assert f"-v{dataset.version}.csv" in answer["Content-Disposition"]
    assert int(answer["Content-Length"]) == len(content)
    assert Event.objects.filter(name="dataset.taken", actor_kind="key_pair").exists()


def test_what_was_removed_is_gone_by_the_api(
    deployment: Deployment, operator: User, dataset: DataSetExport
) -> None:
    caller = Caller(deployment, user=operator)
    status, made = caller.call("POST", "optOuts", {"customId": "A"})
    assert (status, made["customId"]) == (201, "A")
    status, body = caller.call("GET", f"datasets/{dataset.id}/file")
    assert (status, "opted out" in body["message"]) == (410, True)
    assert caller.call("GET", "datasets/newest/file")[0] == 404
    assert [each["id"] for each in caller.call("GET", "optOuts")[1]] == [made["id"]]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"format": "xlsx"}, "xlsx"),
        ({"sources": ["rumour"]}, "rumour"),
        ({"revisions": [9]}, "no revision 9"),
        ({"from": "2026-02-01", "to": "2026-01-01"}, "ends before it begins"),
        ({"from": "soon"}, "from"),
    ],
)
def test_bad_filters_are_refused_in_words(
    deployment: Deployment, operator: User, body: Any, words: str
) -> None:
    status, answer = Caller(deployment, user=operator).call("POST", "datasets", body)
    assert (status, words in answer["message"]) == (400, True), answer
    assert not DataSetExport.objects.exists()


def test_who_may_by_the_api(
    deployment: Deployment,
    dataset: DataSetExport,
    operator: User,
    reviewer: User,
    auditor: User,
    outsider: User,
) -> None:
    program = Caller(deployment, token=token(deployment, operator, "predict", "actuals"))
    expected = [
        (Caller(deployment, user=reviewer), 200, 403),
        (Caller(deployment, user=auditor), 200, 403),
        (Caller(deployment, user=outsider), 404, 404),
        (Caller(deployment), 401, 401),
        (program, 403, 403),
    ]
    for caller, looks, makes in expected:
        for path in ("datasets", f"datasets/{dataset.id}", "optOuts"):
            assert caller.call("GET", path)[0] == looks
        assert caller.call("POST", "datasets", {})[0] == makes
        assert caller.call("POST", "optOuts", {"customId": "A"})[0] == makes
        if looks != 200:
            for path in (f"datasets/{dataset.id}/file", "datasets/newest/file"):
                assert caller.call("GET", path)[0] == looks
    assert not OptOut.objects.exists()
    assert Caller(deployment, user=operator).call("GET", f"datasets/{uuid4()}")[0] == 404

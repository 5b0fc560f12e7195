"""The pages and the API of the event log: what they show, and to whom."""

import base64
import csv
import io
import json
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client
from django.urls import reverse

from apps.accounts import services as accounts
from apps.accounts.models import User, Workspace
from apps.audit.models import Event
from apps.audit.services import record

HTMX = {"HX-Request": "true"}
HOME = "/w/retail-credit/audit/"
THING = "0199aaaa-0000-7000-8000-000000000001"


@transaction.atomic
def happen(
    workspace: Workspace | None, by: User, event: str = "deployment.created", **data: Any
) -> Event:
    return record(
        name=event,
        by=by.actor,
        workspace_id=workspace.id if workspace else None,
        object_type=event.split(".")[0],
        object_id=THING,
        object_name="Credit risk",
        data=data,
    )


@pytest.fixture
def log(workspace: Workspace, other_workspace: Workspace, operator: User, owner: User) -> None:
    happen(workspace, operator, useCase="Loans")
    happen(workspace, owner, "deployment.changed", name={"from": "Old name", "to": "New name"})
    happen(workspace, operator, "deployment.stopped")
    happen(other_workspace, owner, "deployment.deleted")
    happen(None, owner, "key_pair.created", name="laptop")


def text(client: Client, path: str, **kwargs: Any) -> str:
    answer = client.get(path, **kwargs)
    assert answer.status_code == 200, path
    return answer.content.decode()


def test_events_are_sentences_of_this_workspace_only(
    log: None, reviewer: User, client_for: Any
) -> None:
    page = text(client_for(reviewer), HOME)
    assert "Credit risk was created for Loans" in page
    assert "Credit risk was stopped" in page
    assert "was deleted" not in page
    assert "laptop" not in page


def test_an_empty_log_says_what_will_stand_there(
    workspace: Workspace, owner: User, client_for: Any
) -> None:
    assert "Nothing has happened here yet" in text(client_for(owner), HOME)


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("name=deployment.stopped", 1),
        ("name=deployment.", 3),
        ("actor=operator", 2),
        ("actor_kind=token", 0),
        ("object_type=deployment&text=new+name", 1),
        ("start=2001-01-01T00:00&end=2002-01-01T00:00", 0),
        ("start=2001-01-01T00:00", 3),
        ("start=nonsense", 3),
    ],
)
def test_filters_narrow_the_log(
    log: None, owner: User, client_for: Any, query: str, shown: int
) -> None:
    page = text(client_for(owner), f"{HOME}?{query}", headers=HTMX)
    assert page.count('data-label="What"') == shown
    assert "<html" not in page


def test_pages_follow_each_other_by_number(
    workspace: Workspace, owner: User, client_for: Any
) -> None:
    for _ in range(120):
        happen(workspace, owner)
    client = client_for(owner)
    first = text(client, HOME)
    assert "before=71" in first
    assert "after=" not in first
    second = text(client, f"{HOME}?before=71")
    assert "before=21" in second
    assert "after=70" in second
    assert ">120<" in text(client, f"{HOME}?after=70")


def test_a_list_costs_the_same_for_many(
    workspace: Workspace, owner: User, client_for: Any, django_assert_max_num_queries: Any
) -> None:
    for _ in range(50):
        happen(workspace, owner)
    client = client_for(owner)
    with django_assert_max_num_queries(15):
        client.get(HOME)


def test_one_event_shows_what_changed_and_that_it_is_intact(
    log: None, owner: User, client_for: Any
) -> None:
    page = text(client_for(owner), f"{HOME}events/2/")
    assert "Old name" in page
    assert "New name" in page
    assert "Intact" in page


def test_an_altered_event_is_called_so(log: None, owner: User, client_for: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE audit_event SET data = replace(data, 'Old', 'Odd') WHERE number = 2")
    assert "Altered" in text(client_for(owner), f"{HOME}events/2/")


def test_a_deleted_event_breaks_the_chain_of_the_next(
    log: None, owner: User, client_for: Any
) -> None:
    Event.objects.filter(number=2).delete()
    assert "Chain broken" in text(client_for(owner), f"{HOME}events/3/")


def test_the_history_of_one_thing_is_a_page_and_a_panel(
    log: None, reviewer: User, client_for: Any
) -> None:
    client = client_for(reviewer)
    path = f"{HOME}deployment/{THING}/"
    assert "Everything that was ever changed about this deployment" in text(client, path)
    panel = text(client, path, headers=HTMX)
    assert "Latest changes" in panel
    assert "<html" not in panel
    other = path.replace(THING, "nothing")
    assert "Nothing was changed yet" in text(client, other, headers=HTMX)
    assert client.get(other).status_code == 404


def test_the_organisation_log_holds_everything(log: None, auditor: User, client_for: Any) -> None:
    client = client_for(auditor)
    page = text(client, "/audit/")
    assert "was deleted" in page
    assert "laptop" in page
    assert "laptop" in text(client, "/audit/events/5/")


def test_an_event_of_another_workspace_is_not_found(
    log: None, owner: User, client_for: Any
) -> None:
    assert client_for(owner).get(f"{HOME}events/4/").status_code == 404


def test_events_leave_as_csv_without_formulas(
    workspace: Workspace, owner: User, client_for: Any
) -> None:
    owner.name = "=1+1"
    happen(workspace, owner, note='a "quoted", text')
    answer = client_for(owner).get(f"{HOME}export.csv")
    rows = list(csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode())))
    assert rows[0]["actorName"] == "'=1+1"
    assert json.loads(rows[0]["data"]) == {"note": 'a "quoted", text'}


def test_events_leave_as_json_lines_with_the_filters_of_the_page(
    log: None, owner: User, client_for: Any
) -> None:
    answer = client_for(owner).get(f"{HOME}export.jsonl?name=deployment.stopped")
    lines = b"".join(answer.streaming_content).splitlines()
    assert [json.loads(line)["number"] for line in lines] == [3]
    assert "attachment" in answer["Content-Disposition"]
    assert client_for(owner).get(f"{HOME}export.pdf").status_code == 404


@pytest.mark.parametrize(
    "path", [HOME, f"{HOME}events/1/", f"{HOME}export.csv", f"{HOME}deployment/{THING}/"]
)
class TestWhoMayRead:
    def test_strangers_find_nothing(
        self, log: None, outsider: User, client_for: Any, path: str
    ) -> None:
        assert client_for(outsider).get(path).status_code == 404

    def test_anonymous_people_sign_in_first(self, log: None, path: str) -> None:
        answer = Client().get(path)
        assert answer.status_code == 302
        assert answer["Location"].startswith(reverse("account_login"))

    def test_nothing_is_written(self, log: None, owner: User, client_for: Any, path: str) -> None:
        assert client_for(owner).post(path).status_code == 405

    def test_members_read(self, log: None, reviewer: User, client_for: Any, path: str) -> None:
        assert client_for(reviewer).get(path).status_code == 200


@pytest.mark.parametrize("path", ["/audit/", "/audit/events/1/", "/audit/export.jsonl"])
def test_the_organisation_log_is_not_for_everybody(
    log: None, owner: User, governance: User, client_for: Any, path: str
) -> None:
    assert client_for(owner).get(path).status_code == 403
    assert client_for(governance).get(path).status_code == 200
    assert client_for(governance).post(path).status_code == 405
    assert Client().get(path).status_code == 302


class Api:
    """A program with a key pair of `user`."""

    def __init__(self, user: User) -> None:
        pair, secret = accounts.create_key_pair(user=user, name="test")
        code = base64.b64encode(f"{pair.access_key}:{secret}".encode()).decode()
        self.headers = {"authorization": f"Basic {code}"}

    def get(self, path: str) -> tuple[int, Any]:
        answer = Client().get(path, headers=self.headers)
        return answer.status_code, answer.json()


def test_the_api_gives_events_with_their_place_in_the_chain(
    log: None, workspace: Workspace, reviewer: User
) -> None:
    status, events = Api(reviewer).get(f"/workspaces/{workspace.id}/events?limit=2&before=3")
    assert status == 200
    assert [event["number"] for event in events] == [2, 1]
    assert events[1]["hash"] == events[0]["previousHash"]
    assert events[0]["data"] == {"name": {"from": "Old name", "to": "New name"}}


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("color=red", "color: There is no such filter"),
        ("limit=0", "limit: It may be 1 to 1,000"),
        ("start=yesterday", "start: yesterday is not a whole number"),
    ],
)
def test_the_api_names_what_it_does_not_know(
    workspace: Workspace, reviewer: User, query: str, message: str
) -> None:
    status, body = Api(reviewer).get(f"/workspaces/{workspace.slug}/events?{query}")
    assert status == 400
    assert body["statusCode"] == 400
    assert message in body["message"]


def test_the_api_keeps_the_rights_of_the_pages(
    log: None, workspace: Workspace, outsider: User, owner: User, auditor: User
) -> None:
    path = f"/workspaces/{workspace.id}/events"
    assert Api(outsider).get(path)[0] == 404
    assert Client().get(path).status_code == 401
    assert Api(owner).get("/events")[0] == 403
    status, events = Api(auditor).get("/events?limit=1000&objectType=key_pair")
    assert status == 200
    assert events[0]["data"]["name"] == "laptop"

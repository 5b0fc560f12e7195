"""Pages of the log: what they show, whom they admit, and what they cost."""

import asyncio
import csv
import io
import json
from typing import Any

import numpy as np
import pytest
from asgiref.sync import sync_to_async
from django.db import connections
from django.test import AsyncClient, Client

from apps.accounts.models import User
from apps.audit.models import Event
from apps.core.ids import uuid7
from apps.deployments.models import Deployment
from apps.deployments.wire import as_object
from apps.predictions.models import PredictionRecord
from apps.predictions.verification import verify_seals
from apps.registry.models import ModelVersion
from tests.predictions.factories import CASE, prediction_of, write_request

HOME = "/w/retail-credit/deployments/credit-risk/"
LIST = f"{HOME}predictions/"
HTMX = {"HX-Request": "true"}
TYPED = {"reason": "Request 2026-17", "confirm": "erase"}


@pytest.fixture
def client(reviewer: User, client_for: Any) -> Client:
    return client_for(reviewer)


@pytest.fixture
def record(deployment: Deployment) -> PredictionRecord:
    return prediction_of(deployment, custom_ids=["A-17"])


@pytest.fixture
def page(record: PredictionRecord) -> str:
    return f"/w/retail-credit/predictions/{record.id}/"


def text(client: Client, path: str, **given: Any) -> str:
    answer = client.get(path, **given)
    assert answer.status_code == 200
    return answer.content.decode()


# Who may


@pytest.mark.parametrize("path", [LIST, f"{HOME}try/", "detail", "request", "verify"])
def test_only_members_see_the_log(
    record: PredictionRecord,
    page: str,
    path: str,
    client_for: Any,
    reviewer: User,
    outsider: User,
) -> None:
    special = {
        "detail": page,
        "verify": f"{page}verify/",
        "request": f"/w/retail-credit/requests/{record.request_id}/",
    }
    path = special.get(path, path)
    assert client_for(reviewer).get(path, headers=HTMX).status_code == 200
    assert client_for(outsider).get(path).status_code == 404
    anonymous = Client().get(path)
    assert (anonymous.status_code, "/login/" in anonymous["Location"]) == (302, True)
    assert client_for(reviewer).delete(path).status_code == 405


def test_an_auditor_reads_and_may_not_try(
    record: PredictionRecord, page: str, client_for: Any, auditor: User
) -> None:
    reader = client_for(auditor)
    assert reader.get(LIST).status_code == 200
    assert reader.get(page).status_code == 200
    assert reader.get(f"{HOME}try/").status_code == 403


def test_unknown_predictions_and_requests_are_404(client: Client, deployment: Deployment) -> None:
    assert client.get(f"/w/retail-credit/predictions/{uuid7()}/").status_code == 404
    assert client.get(f"/w/retail-credit/requests/{uuid7()}/").status_code == 404
    assert client.get("/w/retail-credit/deployments/none/predictions/").status_code == 404


# The list


def test_an_empty_log_says_what_to_do(client: Client, deployment: Deployment) -> None:
    assert "No prediction yet" in text(client, LIST)


def test_the_fragment_is_the_rows_alone(client: Client, record: PredictionRecord) -> None:
    whole, part = text(client, LIST), text(client, LIST, headers=HTMX)
    assert "<html" in whole
    assert "<html" not in part
    assert "A-17" in part
    assert client.get(LIST)["Vary"].startswith("HX-Request")


def test_filters_narrow_the_list(client: Client, deployment: Deployment) -> None:
    for custom_id, p_bad in (("sure", 0.99), ("unsure", 0.55), ("good", 0.1)):
        prediction_of(deployment, custom_ids=[f"case-{custom_id}"], p_bad=p_bad)
    write_request(deployment, status=400, error="income is missing", body="{}")
    write_request(deployment, status=503, error="The model is loading.", body="{}")

    def shown(query: str) -> set[str]:
        rows = text(client, f"{LIST}?{query}", headers=HTMX)
        words = ("case-sure", "case-unsure", "case-good", "income is missing", "is loading")
        return {word for word in words if word in rows}

    assert shown("") == {"case-sure", "case-unsure", "case-good"}
    assert shown("outcome=bad") == {"case-sure", "case-unsure"}
    assert shown("custom_id=case-good") == {"case-good"}
    assert shown("min_score=95") == {"case-sure"}
    assert shown("max_score=60") == {"case-unsure"}
    assert shown("revision=1") == {"case-sure", "case-unsure", "case-good"}
    assert shown("end=2020-01-01T00:00") == set()
    assert shown("show=refused") == {"income is missing", "is loading"}
    assert shown("show=4xx") == {"income is missing"}
    assert shown("show=5xx") == {"is loading"}


def test_a_wrong_filter_is_told_and_kept(client: Client, record: PredictionRecord) -> None:
    page = text(client, f"{LIST}?min_score=200&custom_id=A-17")
    assert "The filter has a mistake" in page
    assert 'value="200"' in page
    assert 'value="A-17"' in page


def test_pages_go_on_by_id(client: Client, deployment: Deployment) -> None:
    for _ in range(2):
        write_request(deployment, [CASE] * 30)
    first = text(client, LIST)
    assert first.count("/w/retail-credit/predictions/") == 50
    oldest = PredictionRecord.objects.order_by("-id")[49].id
    assert f"before={oldest}" in first
    second = text(client, f"{LIST}?before={oldest}")
    assert second.count("/w/retail-credit/predictions/") == 10
    assert "after=" in second


def test_the_list_costs_the_same_for_one_row_and_for_fifty(
    client: Client, deployment: Deployment, django_assert_max_num_queries: Any
) -> None:
    write_request(deployment, [CASE] * 50)
    with django_assert_max_num_queries(20):
        text(client, LIST)


def test_following_live_polls_the_newest_rows_only(
    client: Client, record: PredictionRecord
) -> None:
    live = text(client, f"{LIST}?live=1&outcome=bad", headers=HTMX)
    assert 'hx-trigger="every 3s"' in live
    assert "outcome=bad" in live
    assert "data-live" in live
    assert "hx-trigger" not in text(client, LIST)
    assert "hx-trigger" not in text(client, f"{LIST}?live=1&before={record.id}")
    assert "Pause" in text(client, f"{LIST}?live=1")


# Export


def exported(user: User, path: str, format_: str) -> str:
    async def fetch() -> bytes:
        client = AsyncClient()
        await client.aforce_login(
            user, backend="allauth.account.auth_backends.AuthenticationBackend"
        )
        answer = await client.post(path, {"format": format_})
        assert answer.status_code == 200
        content = b"".join([part async for part in answer.streaming_content])
        await sync_to_async(connections.close_all)()
        return content

    return asyncio.run(fetch()).decode()


@pytest.mark.django_db(transaction=True)
def test_the_filtered_log_leaves_as_csv_and_json_lines(
    deployment: Deployment, reviewer: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apps.predictions.exporting._ROWS_AT_ONCE", 2)
    for number in range(5):
        prediction_of(deployment, custom_ids=[f"=A-{number}"])
    prediction_of(deployment, p_bad=0.1)
    path = f"{LIST}export/?outcome=bad"
    rows = list(csv.DictReader(io.StringIO(exported(reviewer, path, "csv"))))
    assert [row["customId"] for row in rows] == [f"'=A-{number}" for number in (4, 3, 2, 1, 0)]
    assert (rows[0]["age"], rows[0]["city"], rows[0]["income"]) == ("41", "Urk", "2500.5")
    lines = [json.loads(line) for line in exported(reviewer, path, "jsonl").splitlines()]
    assert len(lines) == 5
    assert lines[0]["input"] == CASE
    assert lines[0]["customId"] == "=A-4"
    event = Event.objects.filter(name="prediction.exported").order_by("number")[0]
    assert json.loads(event.data) == {"format": "csv", "filters": ["outcome"]}
    assert event.actor_id == str(reviewer.id)


def test_an_export_is_a_post_of_members(
    client: Client, record: PredictionRecord, client_for: Any, outsider: User
) -> None:
    path = f"{LIST}export/"
    assert client.get(path).status_code == 405
    assert client_for(outsider).post(path, {"format": "csv"}).status_code == 404
    assert Client().post(path, {"format": "csv"}).status_code == 302
    refused = client.post(path, {"format": "xls"}, follow=True)
    assert "Nothing was exported" in refused.content.decode()
    assert not Event.objects.filter(name="prediction.exported").exists()


# One prediction


def test_a_prediction_shows_its_decision_case_and_record(client: Client, page: str) -> None:
    shown = text(client, page)
    for words in ("The model says bad", "90.0", "Age", "years", "Intact", "Branch portal"):
        assert words in shown


@pytest.mark.parametrize(
    ("instance", "words"),
    [
        ([[[0.5] * 4] * 3] * 2, "tensor of 2 × 3 × 4"),
        (as_object(np.zeros((3, 64, 64), "f4")), "FP32 tensor of 3 × 64 × 64"),
        ({"age": as_object(np.zeros((8, 8), "u1"))}, "UINT8 tensor of 8 × 8"),
    ],
)
def test_a_tensor_is_shown_by_its_shape(
    client: Client, deployment: Deployment, instance: Any, words: str
) -> None:
    ModelVersion.objects.update(metadata={})
    record = prediction_of(deployment, cases=[instance])
    page = text(client, f"/w/retail-credit/predictions/{record.id}/")
    assert words in page
    assert len(page) < 40_000
    assert ("characters; the API gives them all" in page) == (len(record.input) > 4_000)
    listed = text(client, LIST)
    assert listed.count("<td") == listed.count("<th scope")


def test_verify_now_checks_every_step(client: Client, record: PredictionRecord, page: str) -> None:
    part = text(client, f"{page}verify/", headers=HTMX)
    assert "<html" not in part
    assert "Intact" in part
    assert "does not hold" not in part
    assert client.get(f"{page}verify/")["Location"] == page
    PredictionRecord.objects.filter(id=record.id).update(output="[0.9,0.1]")
    altered = text(client, f"{page}verify/", headers=HTMX)
    assert "Broken" in altered
    assert altered.count("does not hold") == 1


def test_a_refused_request_shows_what_was_sent(client: Client, deployment: Deployment) -> None:
    request = write_request(deployment, status=400, error="income is missing", body='{"age": 1}')
    shown = text(client, f"/w/retail-credit/requests/{request.id}/")
    assert "income is missing" in shown
    assert "{&quot;age&quot;: 1}" in shown


# Erasing


def test_an_owner_erases_a_prediction(
    client_for: Any, owner: User, record: PredictionRecord, page: str
) -> None:
    client = client_for(owner)
    assert "Erase this prediction" in text(client, page)
    answer = client.post(f"{page}erase/", TYPED, follow=True)
    shown = answer.content.decode()
    assert "The prediction is erased" in shown
    assert "A-17" not in shown
    assert "Owner" in shown
    record.refresh_from_db()
    assert record.salt is None
    assert list(verify_seals()) == []
    again = client.post(f"{page}erase/", TYPED, follow=True)
    assert "erased already" in again.content.decode()


@pytest.mark.parametrize("typed", [{"confirm": "yes"}, {"reason": ""}, {"confirm": ""}])
def test_without_reason_or_confirmation_nothing_is_erased(
    client_for: Any, owner: User, record: PredictionRecord, page: str, typed: dict[str, str]
) -> None:
    given = TYPED | typed
    answer = client_for(owner).post(f"{page}erase/", given)
    assert answer.status_code == 400
    assert not given["reason"] or given["reason"] in answer.content.decode()
    record.refresh_from_db()
    assert record.salt is not None


def test_who_may_not_erase_sees_no_button_and_gets_403(
    client_for: Any, operator: User, auditor: User, outsider: User, page: str
) -> None:
    case = f"{LIST}erase/?custom_id=A-17"
    for user, status in ((operator, 403), (auditor, 403), (outsider, 404)):
        assert client_for(user).post(f"{page}erase/", TYPED).status_code == status
        assert client_for(user).get(case).status_code == status
        assert client_for(user).post(case, TYPED).status_code == status
    assert "Erase this prediction" not in text(client_for(operator), page)
    assert Client().post(f"{page}erase/", TYPED).status_code == 302
    assert client_for(operator).get(f"{page}erase/").status_code == 405


def test_all_predictions_of_a_case_are_erased_on_one_page(
    client_for: Any, owner: User, deployment: Deployment, record: PredictionRecord, page: str
) -> None:
    for _ in range(2):
        prediction_of(deployment, custom_ids=["A-17"])
    client, case = client_for(owner), f"{LIST}erase/?custom_id=A-17"
    assert "Erase all 3 predictions of case A-17" in text(client, page)
    assert "Erase 3 predictions" in text(client, case)
    assert client.post(case, {"custom_id": "A-17", "reason": "x"}).status_code == 400
    done = client.post(case, TYPED | {"custom_id": "A-17"}, follow=True)
    assert "3 predictions of the case erased" in done.content.decode()
    assert not PredictionRecord.objects.filter(salt__isnull=False).exists()
    assert "erased" in text(client, LIST)
    assert client.get(case).status_code == 404


# Trying


def test_the_form_begins_with_the_example_or_the_last_prediction(
    client: Client, deployment: Deployment
) -> None:
    assert 'value="2500.5"' in text(client, f"{HOME}try/")
    prediction_of(deployment, cases=[CASE | {"income": 1234.25}])
    assert 'value="1234.25"' in text(client, f"{HOME}try/?from=last")


@pytest.mark.parametrize(
    "row", ["33,Goes,1111.5", "33;Goes;1111.5", "income,age,city,x\n1111.5,33,Goes,y"]
)
def test_a_csv_row_fills_the_form(client: Client, deployment: Deployment, row: str) -> None:
    answer = client.post(f"{HOME}try/", {"row": row})
    shown = answer.content.decode()
    assert answer.status_code == 200
    assert 'value="33"' in shown
    assert 'value="1111.5"' in shown
    assert '<option value="Goes" selected>' in shown
    assert not PredictionRecord.objects.exists()


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("1,2", "has 2 values; the model takes 3"),
        ("a,b\n1,2", "names no feature"),
        ("", "required"),
    ],
)
def test_a_row_that_does_not_fit_is_kept(
    client: Client, deployment: Deployment, row: str, message: str
) -> None:
    answer = client.post(f"{HOME}try/", {"row": row})
    assert answer.status_code == 400
    assert message in answer.content.decode()
    assert row in answer.content.decode()


def test_what_was_typed_stays_when_it_is_wrong(client: Client, deployment: Deployment) -> None:
    answer = client.post(f"{HOME}try/", {"f0": "old", "f1": "Goes", "f2": "77.5"})
    shown = answer.content.decode()
    assert answer.status_code == 400
    assert 'value="old"' in shown
    assert 'value="77.5"' in shown


def test_without_a_gateway_the_form_keeps_the_case(
    client: Client, deployment: Deployment, settings: Any
) -> None:
    settings.GATEWAY_URL = "http://127.0.0.1:9"
    answer = client.post(f"{HOME}try/", {"f0": "33", "f1": "Goes", "f2": "77.5"})
    assert answer.status_code == 503
    assert "cannot be reached" in answer.content.decode()
    assert 'value="77.5"' in answer.content.decode()

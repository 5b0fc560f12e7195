"""Pages of explanations: what they show, whom they admit, and what they cost."""

import html
import json
import re
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.accounts.models import User
from apps.audit.actor import SYSTEM
from apps.audit.models import Event
from apps.core.errors import Conflict
from apps.deployments.models import Deployment
from apps.explanations import services, summaries, views
from apps.explanations.models import ExplanationJob, GlobalExplanation
from apps.explanations.tasks import summarise_missing
from apps.predictions.models import PredictionRecord
from tests.explanations.told import told
from tests.predictions.factories import prediction_of

DEPLOYMENT = "/w/retail-credit/deployments/credit-risk/"
TAB = f"{DEPLOYMENT}explanations/"
HTMX = {"HX-Request": "true"}
UNKNOWN = "0199a3f0-0000-7000-8000-000000000000"


@pytest.fixture
def client(reviewer: User, client_for: Any) -> Client:
    return client_for(reviewer)


def why(record: PredictionRecord, rest: str = "") -> str:
    return f"/w/retail-credit/predictions/{record.id}/explanations/{rest}"


def text(client: Client, path: str, **given: Any) -> str:
    answer = client.get(path, **given)
    assert answer.status_code == 200
    return answer.content.decode()


# Who may


@pytest.mark.parametrize(
    "where", ["page", "tab", "recorded-0/parts.png", "recorded-0/parts.csv", "general"]
)
def test_only_members_see_explanations(
    explained: PredictionRecord,
    believed: GlobalExplanation,
    where: str,
    client_for: Any,
    auditor: User,
    outsider: User,
) -> None:
    special = {"page": why(explained), "tab": TAB, "general": f"{TAB}r1/permutation.csv"}
    path = special.get(where) or why(explained, where)
    assert client_for(auditor).get(path).status_code == 200
    assert client_for(outsider).get(path).status_code == 404
    anonymous = Client().get(path)
    assert (anonymous.status_code, "/login/" in anonymous["Location"]) == (302, True)
    assert client_for(auditor).post(path).status_code == 405


@pytest.mark.parametrize("where", ["explain", "summarise"])
def test_who_only_reads_asks_for_nothing(
    record: PredictionRecord, where: str, client_for: Any, auditor: User, outsider: User
) -> None:
    path = why(record, "explain/") if where == "explain" else f"{TAB}summarise/"
    assert client_for(auditor).post(path, {"revision": 1}).status_code == 403
    assert client_for(outsider).post(path, {"revision": 1}).status_code == 404
    assert client_for(auditor).get(path).status_code == 405
    assert Client().post(path).status_code == 302


# Why one prediction came out so


def test_the_prediction_asks_for_its_explanations(
    client: Client, explained: PredictionRecord
) -> None:
    page = text(client, f"/w/retail-credit/predictions/{explained.id}/")
    assert f'hx-get="{why(explained)}"' in page


def test_a_part_for_the_page_and_a_page_of_its_own(
    client: Client, explained: PredictionRecord
) -> None:
    part, page = text(client, why(explained), headers=HTMX), text(client, why(explained))
    assert "<html" not in part
    assert "<html" in page
    assert part.strip()[:60] in page


def test_every_kind_of_explanation_is_shown(client: Client, explained: PredictionRecord) -> None:
    part = text(client, why(explained), headers=HTMX)
    for words in (
        "Tree SHAP",
        "LIME",
        "Not explained",
        "Principal reasons",
        "What would have led to another decision",
        "As long as ",
        "If one feature were otherwise",
        "with the prediction, by r1",
    ):
        assert words in part


def test_rules_that_fired_come_first_with_what_they_looked_at(
    client: Client, explained: PredictionRecord
) -> None:
    part = text(client, why(explained), headers=HTMX)
    assert "1 of 2 fired" in part
    fired, other = part.index("<b>Lives on the lake</b>"), part.index("Younger than 25")
    assert fired < part.index("Town: Urk on the lake", fired) < other
    assert "Age: 41\u00a0years" in part[other:]


def test_no_reason_to_give_is_said_and_rules_stay_apart(
    client: Client, explained: PredictionRecord
) -> None:
    without = told("reason_codes") | {"reasons": []}
    rows = PredictionRecord.objects.filter(id=explained.id)
    rows.update(explanations=json.dumps([without]))
    part = text(client, why(explained), headers=HTMX)
    assert "so there is no reason to give" in part
    assert part.index("Principal reasons") < part.index("<h3>Rules</h3>")


def test_a_counterfactual_leads_to_a_form_that_holds_it(
    client: Client, explained: PredictionRecord
) -> None:
    change = told("counterfactuals")["counterfactuals"][0]["changes"][0]
    part = text(client, why(explained), headers=HTMX)
    query = f"?from={explained.id}&amp;to.{change['feature']}="
    assert query in part
    link = part.split(f"{DEPLOYMENT}try/{query}")[1].split('"')[0]
    form = client.get(f"{DEPLOYMENT}try/{query}{link}".replace("&amp;", "&")).context["form"]
    place = [feature["name"] for feature in form.features].index(change["feature"])
    assert str(form[f"f{place}"].value()) == str(change["to"])


def test_who_may_not_try_gets_no_link_to_the_form(
    explained: PredictionRecord, client_for: Any, auditor: User
) -> None:
    assert "Try this" not in text(client_for(auditor), why(explained), headers=HTMX)


def test_a_chart_leaves_as_picture_and_as_table(
    client: Client, explained: PredictionRecord
) -> None:
    picture = client.get(why(explained, "recorded-0/parts.png?theme=dark"))
    assert picture.content.startswith(b"\x89PNG")
    assert "attachment" in picture["Content-Disposition"]
    table = client.get(why(explained, "recorded-0/parts.csv")).content.decode()
    assert table.splitlines()[0] == 'Feature,Value,"Contribution, log-odds"'
    changes = client.get(why(explained, "recorded-3/changes.csv")).content.decode()
    assert changes.startswith("Alternative,Change,from,to")


def test_a_chart_stands_as_a_figure_in_a_frame_of_our_pages_alone(
    client: Client, explained: PredictionRecord
) -> None:
    page = client.get(why(explained, "recorded-0/parts.html"))
    assert page.status_code == 200
    policy = page["Content-Security-Policy"]
    assert "frame-ancestors 'self'" in policy
    assert "style-src 'self' 'unsafe-inline'" in policy
    for nothing in ("default-src", "connect-src", "form-action", "frame-src"):
        assert f"{nothing} 'none'" in policy
    assert "unsafe-inline" not in policy.split("script-src")[1].split(";")[0]
    assert page["X-Frame-Options"] == "SAMEORIGIN"
    part = client.get(why(explained), headers=HTMX)
    assert "unsafe-inline" not in part["Content-Security-Policy"]
    assert f'src="{why(explained, "recorded-0/parts.html")}"' in part.content.decode()


@pytest.mark.parametrize(
    "rest",
    [
        "recorded-9/parts.png",
        "recorded-9/parts.html",
        "recorded-0/curve-0.png",
        "recorded-5/curve-99.png",
        "recorded-0/parts.gif",
        "recorded-0/parts.png?theme=sepia",
    ],
)
def test_what_is_no_chart_is_not_found(
    client: Client, explained: PredictionRecord, rest: str
) -> None:
    assert client.get(why(explained, rest)).status_code == 404


def test_without_an_explainer_it_says_how_to_add_one(
    plain_deployment: Deployment, client_for: Any, operator: User, reviewer: User
) -> None:
    record = prediction_of(plain_deployment)
    part = text(client_for(operator), why(record), headers=HTMX)
    assert 'href="/w/retail-credit/deployments/plain/revisions/new/"' in part or "revise" in part
    assert "Add an explainer" in part
    assert "An operator adds one" in text(client_for(reviewer), why(record), headers=HTMX)


def test_an_explanation_can_be_asked_for_where_none_was_stored(
    client: Client, record: PredictionRecord, client_for: Any, auditor: User
) -> None:
    assert "Explain now" in text(client, why(record), headers=HTMX)
    assert "Explain now" not in text(client_for(auditor), why(record), headers=HTMX)


def test_who_asks_sees_how_far_it_is(client: Client, record: PredictionRecord) -> None:
    answer = client.post(why(record, "explain/"))
    assert (answer.status_code, answer["Location"]) == (302, why(record))
    part = client.post(why(record, "explain/"), headers=HTMX).content.decode()
    assert ("Waiting for the worker" in part, "every 1s" in part) == (True, True)
    assert "Explain now" not in part
    job = ExplanationJob.objects.get()
    assert (job.names, job.by["name"]) == (["shap.tree", "lime"], "Reviewer")


def test_why_it_failed_stands_beside_the_button_and_polling_ends(
    client: Client, record: PredictionRecord
) -> None:
    client.post(why(record, "explain/"))
    services.do_job(identifier=ExplanationJob.objects.get().id, now=timezone.now())
    part = text(client, why(record), headers=HTMX)
    assert "The explainer is not ready; it is being started. Try again in a moment." in part
    assert ("Explain now" in part, "hx-trigger" in part) == (True, False)
    client.post(why(record, "explain/"))
    assert "not ready" not in text(client, why(record), headers=HTMX)


def test_a_job_that_nobody_takes_is_not_waited_for(
    client: Client, record: PredictionRecord
) -> None:
    client.post(why(record, "explain/"))
    ExplanationJob.objects.update(state_at=timezone.now() - timedelta(minutes=11))
    part = text(client, why(record), headers=HTMX)
    assert ("See whether the worker runs" in part, "every 1s" in part) == (True, False)
    client.post(why(record, "explain/"))
    assert ExplanationJob.objects.count() == 2


def test_what_cannot_be_asked_for_is_refused_at_once(
    client: Client, plain_deployment: Deployment
) -> None:
    record = prediction_of(plain_deployment)
    assert client.post(why(record, "explain/")).status_code == 409
    part = client.post(why(record, "explain/"), headers=HTMX)
    assert (part.status_code, ExplanationJob.objects.count()) == (200, 0)


def test_an_erased_prediction_has_no_reasons(client: Client, record: PredictionRecord) -> None:
    PredictionRecord.objects.filter(id=record.id).update(input=None, output=None, salt=None)
    part = text(client, why(record), headers=HTMX)
    assert "was erased" in part
    assert "Explain now" not in part


def test_the_panel_costs_few_queries(
    client: Client, explained: PredictionRecord, django_assert_max_num_queries: Any
) -> None:
    with django_assert_max_num_queries(22):
        client.get(why(explained), headers=HTMX)


# What if


def test_the_form_slides_where_training_saw_a_range(
    client: Client, record: PredictionRecord
) -> None:
    page = text(client, f"{DEPLOYMENT}try/?from={record.id}&to.age=30")
    assert 'data-low="900" data-high="3000"' in page.replace("\n", " ")
    assert "with 1 change: Age" in page


@pytest.mark.parametrize("query", ["?from=nonsense", f"?from={UNKNOWN}", "?to.nothing=1"])
def test_a_strange_start_is_the_example(
    client: Client, record: PredictionRecord, query: str
) -> None:
    form = client.get(f"{DEPLOYMENT}try/{query}").context["form"]
    assert form["f0"].value() == 41


def test_a_live_answer_is_the_answer_alone(client: Client, record: PredictionRecord) -> None:
    answer = client.post(f"{DEPLOYMENT}try/", {"f0": "x"}, headers=HTMX)
    assert answer.status_code == 200
    assert b"<html" not in answer.content
    assert b"Some values do not fit" in answer.content


# What a model believes in general


def test_the_tab_says_how_to_begin(
    plain_deployment: Deployment, client_for: Any, operator: User
) -> None:
    page = text(client_for(operator), "/w/retail-credit/deployments/plain/explanations/")
    assert "No revision has an explainer yet" in page
    assert "Add an explainer" in page


def test_the_tab_ranks_features_and_shows_stored_contributions(
    client: Client, believed: GlobalExplanation, explained: PredictionRecord
) -> None:
    page = text(client, TAB)
    for words in ("What moves its answers", "What makes it right", "1 prediction, log-odds"):
        assert words in page
    assert page.index("Town") < page.index("Age")
    assert "Age with income most: 0.400 log-odds, 25" in page
    for chart in ("contributions", "permutation", "stored", "curve-0", "interactions"):
        for kind in ("png", "csv", "html"):
            assert client.get(f"{TAB}r1/{chart}.{kind}").status_code == 200


def test_downloads_of_stored_contributions_keep_the_period(
    client: Client,
    believed: GlobalExplanation,
    explained: PredictionRecord,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    later = SimpleNamespace(now=lambda: timezone.now() + timedelta(days=3))
    monkeypatch.setattr(views, "timezone", later)
    page = text(client, f"{TAB}?period=week")
    [png, dark, csv, figure] = re.findall(r'"([^"]*/r1/stored[^"]*)"', page)
    assert "theme=dark" in dark
    assert client.get(html.unescape(figure)).status_code == 200
    for address in (png, dark, csv):
        answer = client.get(html.unescape(address))
        assert answer.status_code == 200
        assert "-stored-week." in answer["Content-Disposition"]
    assert client.get(f"{TAB}r1/stored.csv?period=day").status_code == 404


@pytest.mark.parametrize("rest", ["r9/permutation.csv", "r1/nothing.csv", "r1/stored.csv?period=x"])
def test_the_tab_has_no_other_charts(
    client: Client, believed: GlobalExplanation, rest: str
) -> None:
    assert client.get(f"{TAB}{rest}").status_code == 404


def test_the_tab_costs_the_same_for_more_predictions(
    client: Client, believed: GlobalExplanation, explained: PredictionRecord
) -> None:
    def cost() -> int:
        with CaptureQueriesContext(
            connection,
        ) as queries:
            assert client.get(TAB).status_code == 200
        return len(queries)

    cost()
    first = cost()
    texts = json.dumps([told("shap.tree")])
    for _ in range(3):
        made = prediction_of(explained.deployment)
        PredictionRecord.objects.filter(id=made.id).update(explanations=texts)
    assert cost() == first


def test_who_tries_may_have_it_computed(client: Client, deployment: Deployment) -> None:
    answer = client.post(f"{TAB}summarise/", {"revision": 1})
    assert (answer.status_code, answer["Location"]) == (302, f"{TAB}?revision=1")
    assert GlobalExplanation.objects.get().state == "waiting"
    assert Event.objects.get(name="explanation.summary_asked").object_name == "Credit risk r1"
    assert 'hx-trigger="every 2s"' in text(client, TAB)


def test_it_is_computed_once_at_a_time(deployment: Deployment) -> None:
    revision = deployment.revisions.get()
    summaries.ask_for_summary(revision=revision, by=SYSTEM, now=timezone.now())
    with pytest.raises(Conflict, match="being computed already"):
        summaries.ask_for_summary(revision=revision, by=SYSTEM, now=timezone.now())


def test_a_failure_keeps_what_was_known_and_says_why(
    client: Client, believed: GlobalExplanation
) -> None:
    revision = believed.revision
    summaries.ask_for_summary(revision=revision, by=SYSTEM, now=timezone.now())
    made = summaries.summarise(revision=revision, now=timezone.now())
    assert (made.state, bool(made.content["permutation"])) == ("failed", True)
    page = text(client, TAB)
    assert "The explainer of r1 does not run" in page
    assert "What moves its answers" in page


def test_a_revision_is_asked_for_only_while_its_explainer_runs(deployment: Deployment) -> None:
    assert summaries.ask_for_missing(now=timezone.now()) == 0


def test_looking_for_missing_ones_is_one_query_where_none_is_missing(
    deployment: Deployment, believed: GlobalExplanation, django_assert_num_queries: Any
) -> None:
    with django_assert_num_queries(1):
        assert summarise_missing() == 0

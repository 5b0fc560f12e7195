"""The pages of deployments: what they show, whom they admit, and that nothing typed is lost."""

import re
from pathlib import Path
from typing import Any

import pytest
import skops.io
from django.test import Client
from django.urls import URLPattern
from django.utils import timezone
from sklearn.linear_model import LogisticRegression

from apps.accounts.models import User, Workspace
from apps.deployments import services
from apps.deployments.models import Component, Deployment, Replica, Revision, UseCase
from apps.deployments.services import RunSettings
from apps.deployments.urls import urlpatterns
from apps.registry import services as registry
from apps.registry.models import ModelVersion
from apps.registry.services import Upload

HOME = "/w/retail-credit/deployments/"
PAGE = f"{HOME}credit-risk/"
METADATA = {
    "features": [{"name": "a", "type": "number"}, {"name": "b", "type": "number"}],
    "exampleInput": {"instances": [{"b": 1.0, "a": 0.0}]},
}
# Every address of the app: what it may be asked with, and the right that it needs.
READS = ["", "progress/", "revisions/", "settings/"]
OPERATOR_READS = ["revisions/new/", "log/"]
WRITES = ["revisions/1/restore/", "start/", "stop/", "delete/"]


@pytest.fixture
def version(workspace: Workspace, operator: User, tmp_path: Path) -> ModelVersion:
    model = registry.create_model(workspace=workspace, name="Logistic", by=operator)
    trained = LogisticRegression().fit([[0.0, 1.0], [1.0, 0.0]], [0, 1])
    skops.io.dump(trained, tmp_path / "m.skops")
    upload = Upload("m.skops", [(tmp_path / "m.skops").read_bytes()])
    return registry.add_version(model=model, artifact=upload, metadata=METADATA, by=operator)


@pytest.fixture
def deployment(workspace: Workspace, version: ModelVersion, operator: User) -> Deployment:
    return services.create_deployment(
        workspace=workspace, name="Credit risk", model_version=version, by=operator
    )


@pytest.fixture
def client(operator: User, client_for: Any) -> Client:
    return client_for(operator)


def move(deployment: Deployment, state: str, **values: Any) -> Revision:
    """Puts the newest revision into a state, as the controller would."""
    revision = deployment.revisions.latest("number")
    Revision.objects.filter(pk=revision.pk).update(state=state, state_at=timezone.now(), **values)
    if state == Revision.State.ACTIVE:
        Deployment.objects.filter(pk=deployment.pk).update(active_revision=revision)
        component = revision.components.get()
        Replica.objects.create(component=component, state="ready", state_at=timezone.now())
    return revision


def revise(deployment: Deployment, operator: User, **run: int) -> Revision:
    return services.create_revision(deployment=deployment, by=operator, run=RunSettings(**run))


def text_of(client: Client, path: str, **query: Any) -> str:
    answer = client.get(path, query)
    assert answer.status_code == 200, answer.content
    return answer.content.decode()


# Who may


def test_the_lists_of_addresses_here_are_complete() -> None:
    prefix = "w/<slug:workspace_slug>/deployments/"
    listed = {f"{prefix}<slug:slug>/{p}" for p in [*READS, *OPERATOR_READS, *WRITES]}
    listed |= {prefix, f"{prefix}new/"}
    own = [
        u
        for u in urlpatterns
        if u.callback.__module__ in ("apps.deployments.views", "apps.deployments.flow")
    ]
    assert {route(each) for each in own} == listed


def route(pattern: URLPattern) -> str:
    return str(pattern.pattern).replace("<int:number>", "1")


@pytest.mark.parametrize("path", ["", "new/", *(f"credit-risk/{p}" for p in READS)])
def test_who_is_not_signed_in_is_led_to_the_sign_in(deployment: Deployment, path: str) -> None:
    answer = Client().get(HOME + path)
    assert answer.status_code == 302
    assert answer["Location"] == f"/account/login/?next={HOME}{path}"


@pytest.mark.parametrize(
    "path", ["", "new/", *(f"credit-risk/{p}" for p in READS + OPERATOR_READS)]
)
def test_strangers_find_nothing(
    deployment: Deployment, outsider: User, client_for: Any, path: str
) -> None:
    assert client_for(outsider).get(HOME + path).status_code == 404


@pytest.mark.parametrize("path", WRITES)
def test_strangers_change_nothing(
    deployment: Deployment, outsider: User, client_for: Any, path: str
) -> None:
    assert client_for(outsider).post(PAGE + path, {"name": "Credit risk"}).status_code == 404
    deployment.refresh_from_db()
    assert deployment.desired == "running"
    assert deployment.revisions.count() == 1


@pytest.mark.parametrize("path", ["", *(f"credit-risk/{p}" for p in READS)])
@pytest.mark.parametrize("persona", ["reviewer", "auditor", "governance", "owner", "admin"])
def test_members_read(
    request: pytest.FixtureRequest,
    deployment: Deployment,
    client_for: Any,
    persona: str,
    path: str,
) -> None:
    user = request.getfixturevalue(persona)
    assert client_for(user).get(HOME + path).status_code == 200


@pytest.mark.parametrize("persona", ["reviewer", "auditor", "governance"])
def test_members_without_the_right_are_told_so(
    request: pytest.FixtureRequest, deployment: Deployment, client_for: Any, persona: str
) -> None:
    client = client_for(request.getfixturevalue(persona))
    for path in (f"{HOME}new/", *(PAGE + p for p in OPERATOR_READS)):
        assert client.get(path).status_code == 403, path
    for path in (f"{HOME}new/", *(PAGE + p for p in [*WRITES, "settings/", "revisions/new/"])):
        assert client.post(path, {"name": "Credit risk"}).status_code == 403, path
    deployment.refresh_from_db()
    assert (deployment.desired, deployment.revisions.count()) == ("running", 1)


@pytest.mark.parametrize("path", WRITES)
def test_nothing_is_changed_by_a_get(client: Client, deployment: Deployment, path: str) -> None:
    assert client.get(PAGE + path).status_code == 405


@pytest.mark.parametrize("path", ["", "progress/", "revisions/", "log/"])
def test_pages_that_only_show_take_no_post(
    client: Client, deployment: Deployment, path: str
) -> None:
    assert client.post(PAGE + path).status_code == 405


@pytest.mark.parametrize("path", ["", "progress/", "revisions/", "settings/", "log/"])
def test_what_was_deleted_is_not_found(
    client: Client, deployment: Deployment, operator: User, path: str
) -> None:
    services.delete_deployment(deployment=deployment, by=operator.actor, now=timezone.now())
    assert client.get(PAGE + path).status_code == 404


def test_buttons_are_offered_to_those_who_may(
    client: Client, deployment: Deployment, auditor: User, client_for: Any
) -> None:
    move(deployment, "active")
    assert f"{PAGE}revisions/new/" in text_of(client, PAGE)
    read_only = client_for(auditor)
    for path in (PAGE, f"{PAGE}settings/", f"{PAGE}revisions/"):
        page = text_of(read_only, path)
        assert f"{PAGE}revisions/new/" not in page
        assert 'method="post"' not in page.replace('method="post" action="/account/logout/"', "")


# The list


def test_an_empty_list_says_what_to_do_next(client: Client, workspace: Workspace) -> None:
    page = text_of(client, HOME)
    assert "Nothing is deployed here yet" in page
    assert f"{HOME}new/" in page


def test_an_empty_list_tells_a_reader_who_can(
    reviewer: User, workspace: Workspace, client_for: Any
) -> None:
    page = text_of(client_for(reviewer), HOME)
    assert "An operator of this workspace can deploy one" in page
    assert f"{HOME}new/" not in page


@pytest.mark.parametrize(
    ("states", "word"),
    [
        (["pending"], "Starting"),
        (["failed"], "Failed to start"),
        (["active"], "Serving"),
        (["active", "starting"], "Updating"),
        (["active", "failed"], "Serving, update failed"),
    ],
)
def test_the_list_says_how_each_is(
    client: Client, deployment: Deployment, operator: User, states: list[str], word: str
) -> None:
    for number, state in enumerate(states):
        if number:
            revise(deployment, operator, threads=2)
        move(deployment, state)
    assert f">{word}</span>" in text_of(client, HOME)


def test_one_whose_servers_are_gone_does_not_answer(client: Client, deployment: Deployment) -> None:
    move(deployment, "active")
    Replica.objects.update(state="starting")
    assert ">Not answering</span>" in text_of(client, HOME)


def test_the_list_takes_the_same_queries_however_long(
    client: Client,
    workspace: Workspace,
    deployment: Deployment,
    version: ModelVersion,
    operator: User,
    django_assert_max_num_queries: Any,
) -> None:
    for number in range(12):
        services.create_deployment(
            workspace=workspace, name=f"Number {number}", model_version=version, by=operator
        )
    with django_assert_max_num_queries(14):
        assert "Number 11" in text_of(client, HOME)


def test_a_deployment_of_another_workspace_is_not_listed(
    deployment: Deployment, outsider: User, client_for: Any
) -> None:
    assert "Credit risk" not in text_of(client_for(outsider), "/w/fraud/deployments/")


# The guided flow

SAID = {
    "use_case": "",
    "new_use_case": "Loan origination",
    "risk": "high",
    "name": "Consumer loans",
    "description": "Estimates the risk.",
    "durability": "committed",
    "min_replicas": "2",
    "memory_mb": "1024",
    "threads": "1",
    "load_timeout_seconds": "60",
}


def said(version: ModelVersion, **changes: str) -> dict[str, str]:
    return SAID | {"version": str(version.id)} | changes


def test_without_a_model_the_flow_leads_to_the_registry(
    client: Client, workspace: Workspace
) -> None:
    page = text_of(client, f"{HOME}new/")
    assert "There is no model yet" in page
    assert "/w/retail-credit/models/new/" in page


@pytest.mark.parametrize(
    ("step", "shown", "goes_on"),
    [
        ("use-case", "Risk class of the new use case", "model"),
        ("model", "Choose a version", "explainer"),
        ("explainer", "Add a background", "transformer"),
        ("transformer", "Add a module", "details"),
        ("details", "Memory for each, in MB", "review"),
    ],
)
def test_each_step_shows_its_part_and_goes_on(
    client: Client, version: ModelVersion, step: str, shown: str, goes_on: str
) -> None:
    page = text_of(client, f"{HOME}new/", **said(version, step=step))
    assert shown in page
    assert f'name="step" value="{goes_on}"' in page
    assert page.count('aria-current="step"') == 1


@pytest.mark.parametrize("step", ["use-case", "model", "explainer", "details"])
def test_each_step_keeps_what_was_said_in_the_others(
    client: Client, version: ModelVersion, step: str
) -> None:
    page = text_of(client, f"{HOME}new/", **said(version, step=step))
    assert inputs(page) == said(version)


def inputs(page: str) -> dict[str, str]:
    """What a browser would send from the first form in the content."""
    form = page.split('<div class="narrow stack">')[1]
    found = {}
    for tag in re.findall(r"<input[^>]*>", form):
        name, value = re.search(r'name="(\w+)"', tag), re.search(r'value="([^"]*)"', tag)
        found[name[1] if name else ""] = value[1] if value else ""
    for name, content in re.findall(r'<textarea name="(\w+)"[^>]*>\s*(.*?)</textarea>', form, re.S):
        found[name] = content
    for name, content in re.findall(r'<select name="(\w+)".*?>(.*?)</select>', form, re.S):
        chosen = re.search(r'value="([^"]*)" selected', content)
        found[name] = chosen[1] if chosen else ""
    return {name: value for name, value in found.items() if name in SAID or name == "version"}


@pytest.mark.parametrize(
    ("changes", "message", "field"),
    [
        ({"new_use_case": ""}, "name a new one here", "new_use_case"),
        ({"version": "x"}, "is not a valid UUID", "version"),
        ({"version": "01890000-0000-7000-8000-000000000000"}, "Select a valid choice", "version"),
        ({"name": "Credit risk"}, "already; choose another name", "name"),
        ({"name": "???"}, "at least one letter", "name"),
        ({"memory_mb": "1"}, "greater than or equal to 128", "memory_mb"),
        ({"min_replicas": "many"}, "Enter a whole number", "min_replicas"),
        ({"durability": "sometimes"}, "Select a valid choice", "durability"),
    ],
)
@pytest.mark.parametrize("method", ["get", "post"])
def test_an_error_leads_to_its_step_and_keeps_all_that_was_said(
    client: Client,
    deployment: Deployment,
    version: ModelVersion,
    changes: dict[str, str],
    message: str,
    field: str,
    method: str,
) -> None:
    typed = said(version, step="review") | changes
    answer = getattr(client, method)(f"{HOME}new/", typed)
    page = answer.content.decode()
    assert answer.status_code == 400
    assert message in page
    assert f'href="#id_{field}"' in page
    # A choice that is none cannot be shown in its list again.
    lost = {field} if "valid" in message else set()
    kept = {name: value for name, value in inputs(page).items() if name not in lost}
    assert kept == {name: value for name, value in typed.items() if name in kept}
    assert len(kept) == len(SAID) + 1 - len(lost)
    assert Deployment.objects.count() == 1


def test_a_use_case_is_chosen_or_named_not_both(
    client: Client, deployment: Deployment, version: ModelVersion
) -> None:
    typed = said(version, use_case=str(deployment.use_case_id), step="model")
    page = client.get(f"{HOME}new/", typed).content.decode()
    assert "not both" in page


def test_a_use_case_that_exists_is_not_made_again(
    client: Client, deployment: Deployment, version: ModelVersion
) -> None:
    page = client.get(f"{HOME}new/", said(version, new_use_case="credit RISK", step="model"))
    assert "choose it above" in page.content.decode()


def test_a_version_of_another_workspace_is_no_choice(
    deployment: Deployment,
    version: ModelVersion,
    outsider: User,
    client_for: Any,
    files_of_other: ModelVersion,
) -> None:
    answer = client_for(outsider).get("/w/fraud/deployments/new/", said(version, step="review"))
    assert answer.status_code == 400
    assert "Select a valid choice" in answer.content.decode()


@pytest.fixture
def files_of_other(other_workspace: Workspace, outsider: User, tmp_path: Path) -> ModelVersion:
    """So that the other workspace has a model and its flow begins."""
    model = registry.create_model(workspace=other_workspace, name="Other", by=outsider)
    skops.io.dump(LogisticRegression().fit([[0.0], [1.0]], [0, 1]), tmp_path / "o.skops")
    upload = Upload("o.skops", [(tmp_path / "o.skops").read_bytes()])
    return registry.add_version(model=model, artifact=upload, by=outsider)


def test_a_version_that_the_scan_blocks_is_refused_before_the_details(
    client: Client, version: ModelVersion
) -> None:
    finding = {"what": "os.system", "level": "dangerous"}
    version.artifact.scan = {"risk": "dangerous", "findings": [finding]}
    version.artifact.save()
    answer = client.get(f"{HOME}new/", said(version, step="explainer"))
    assert answer.status_code == 400
    assert "loading it would use os.system" in answer.content.decode()


def test_the_review_says_what_will_happen(client: Client, version: ModelVersion) -> None:
    page = text_of(client, f"{HOME}new/", **said(version, step="review"))
    for words in (
        "2 model servers",
        "1,024 MB and 1 thread",
        "It sends the example input",
        "/workspaces/retail-credit/deployments/consumer-loans/predict",
        "recorded before its answer leaves",
        "Loan origination (new), high risk",
    ):
        assert words in page, words


def test_the_review_warns_of_answers_before_the_record(
    client: Client, version: ModelVersion
) -> None:
    page = text_of(client, f"{HOME}new/", **said(version, step="review", durability="relaxed"))
    assert "a failure in between loses the record" in page


def test_the_flow_ends_with_a_deployment_on_its_way(
    client: Client, version: ModelVersion, operator: User
) -> None:
    answer = client.post(f"{HOME}new/", said(version))
    made = Deployment.objects.get()
    assert answer["Location"] == f"{HOME}consumer-loans/progress/"
    assert (made.name, made.owner, made.description) == (
        "Consumer loans", operator, "Estimates the risk.",
    )  # fmt: skip
    assert (made.use_case.name, made.use_case.risk) == ("Loan origination", "high")
    settings = made.revisions.get().settings
    assert (settings["min_replicas"], settings["memory_mb"]) == (2, 1024)


def test_an_existing_use_case_is_used(
    client: Client, deployment: Deployment, version: ModelVersion
) -> None:
    chosen = said(version, use_case=str(deployment.use_case_id), new_use_case="")
    client.post(f"{HOME}new/", chosen)
    assert Deployment.objects.get(name="Consumer loans").use_case == deployment.use_case
    assert UseCase.objects.count() == 1


def test_a_name_taken_in_between_loses_nothing_and_leaves_no_use_case(
    client: Client, version: ModelVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two people finish at once: the form found the name free, the service does not."""
    create = services.create_deployment

    def late(**given: Any) -> Deployment:
        create(**given | {"use_case": None})
        return create(**given)

    monkeypatch.setattr(services, "create_deployment", late)
    answer = client.post(f"{HOME}new/", said(version))
    page = answer.content.decode()
    assert answer.status_code == 400
    assert "choose another name" in page
    assert inputs(page) == said(version)
    assert not UseCase.objects.exists()


def test_a_version_can_be_brought_along(client: Client, version: ModelVersion) -> None:
    page = text_of(client, f"{HOME}new/", version=str(version.id))
    assert inputs(page)["version"] == str(version.id)
    page = text_of(client, f"{HOME}new/", **said(version, step="model"))
    assert inputs(page)["version"] == str(version.id)


def test_an_unknown_step_is_the_first(client: Client, version: ModelVersion) -> None:
    assert "Risk class of the new use case" in text_of(client, f"{HOME}new/", step="nowhere")


# Progress


@pytest.mark.parametrize("state", ["pending", "starting", "checking"])
def test_progress_asks_again_while_a_revision_is_on_its_way(
    client: Client, deployment: Deployment, state: str
) -> None:
    move(deployment, state)
    page = text_of(client, f"{PAGE}progress/")
    assert 'hx-trigger="every 1s"' in page
    assert page.count('<li class="warn">') == 1


@pytest.mark.parametrize("state", ["active", "failed", "retired"])
def test_progress_stops_asking_at_rest(client: Client, deployment: Deployment, state: str) -> None:
    move(deployment, state)
    page = text_of(client, f"{PAGE}progress/")
    assert "hx-trigger" not in page.split('id="progress"')[1]


def test_progress_by_htmx_is_the_fragment_alone(client: Client, deployment: Deployment) -> None:
    answer = client.get(f"{PAGE}progress/", headers={"HX-Request": "true"})
    assert answer.content.decode().strip().startswith('<div id="progress"')
    assert "HX-Request" in answer["Vary"]


def test_a_failed_start_shows_the_last_lines_and_what_to_do(
    client: Client, deployment: Deployment
) -> None:
    move(deployment, "failed", error="The model file is broken.", error_log="line 1\nValueError: x")
    page = text_of(client, f"{PAGE}progress/")
    for words in ("The model file is broken.", "ValueError: x", "Nothing serves yet.",
                  f"{PAGE}revisions/new/"):  # fmt: skip
        assert words in page, words
    assert page.count('<li class="bad">') == 1


def test_a_failed_update_says_that_the_old_one_serves(
    client: Client, deployment: Deployment, operator: User
) -> None:
    move(deployment, "active")
    revise(deployment, operator, threads=2)
    move(deployment, "failed", error="The new revision failed on the example input: x")
    page = text_of(client, f"{PAGE}progress/")
    assert "Revision r1 goes on serving." in page
    assert "failed on the example input" in text_of(client, PAGE)


# Overview


def test_the_overview_shows_the_endpoint_and_the_example_in_the_features_order(
    client: Client, deployment: Deployment
) -> None:
    move(deployment, "active")
    page = text_of(client, PAGE)
    assert "/workspaces/retail-credit/deployments/credit-risk/predict" in page
    assert "&quot;a&quot;: 0.0, &quot;b&quot;: 1.0" in page


def test_the_overview_takes_the_same_queries_however_many_revisions(
    client: Client,
    deployment: Deployment,
    operator: User,
    django_assert_max_num_queries: Any,
) -> None:
    for _ in range(8):
        revise(deployment, operator, threads=2)
    with django_assert_max_num_queries(16):
        text_of(client, PAGE)


# Revisions


def test_the_timeline_says_what_changed(
    client: Client, deployment: Deployment, operator: User
) -> None:
    revise(deployment, operator, memory_mb=4096)
    page = text_of(client, f"{PAGE}revisions/")
    row = re.search(r"Memory for each, in MB</td>.*?</tr>", page)
    assert row
    assert "2,048" in row[0]
    assert "<b>4,096</b>" in row[0]


def test_any_two_revisions_are_compared(
    client: Client, deployment: Deployment, operator: User
) -> None:
    revise(deployment, operator, memory_mb=4096)
    revise(deployment, operator, memory_mb=2048, threads=4)
    table = text_of(client, f"{PAGE}revisions/", **{"from": 1, "to": 3}).split("timeline")[0]
    assert "Threads for each" in table
    assert "Memory" not in table
    same = text_of(client, f"{PAGE}revisions/", **{"from": 2, "to": 2})
    assert "r2 and r2 say the same" in same
    for odd in ("x", "99", ""):
        assert "say the same" not in text_of(client, f"{PAGE}revisions/", **{"from": odd, "to": 1})


def test_revisions_take_the_same_queries_however_many(
    client: Client,
    deployment: Deployment,
    operator: User,
    django_assert_max_num_queries: Any,
) -> None:
    for _ in range(8):
        revise(deployment, operator, threads=2)
    with django_assert_max_num_queries(26):
        text_of(client, f"{PAGE}revisions/")


def test_restore_is_confirmed_with_what_it_would_change(
    client: Client, deployment: Deployment, operator: User
) -> None:
    move(deployment, "retired")
    revise(deployment, operator, threads=4)
    move(deployment, "active")
    page = text_of(client, f"{PAGE}revisions/")
    confirmation = page.split('<details class="confirm">')[1].split("</details>")[0]
    assert "Make a new revision from r1" in confirmation
    assert "Threads for each" in confirmation
    assert page.count('<details class="confirm">') == 1


def test_restore_makes_a_new_revision_of_the_old_content(
    client: Client, deployment: Deployment, operator: User
) -> None:
    move(deployment, "retired")
    revise(deployment, operator, threads=4)
    answer = client.post(f"{PAGE}revisions/1/restore/")
    assert answer["Location"] == f"{PAGE}progress/"
    newest = deployment.revisions.latest("number")
    assert (newest.number, newest.settings["threads"], newest.note) == (3, 1, "Restores r1")


def test_what_is_not_there_cannot_be_restored(client: Client, deployment: Deployment) -> None:
    assert client.post(f"{PAGE}revisions/7/restore/").status_code == 404


def test_a_version_blocked_since_is_not_restored_and_the_page_says_why(
    client: Client, deployment: Deployment, version: ModelVersion
) -> None:
    finding = {"what": "os.system", "level": "dangerous"}
    version.artifact.scan = {"risk": "dangerous", "findings": [finding]}
    version.artifact.save()
    answer = client.post(f"{PAGE}revisions/1/restore/", follow=True)
    assert "os.system" in answer.content.decode()
    assert deployment.revisions.count() == 1


def test_a_new_revision_starts_from_the_newest(
    client: Client, deployment: Deployment, operator: User
) -> None:
    revise(deployment, operator, memory_mb=4096)
    page = text_of(client, f"{PAGE}revisions/new/")
    assert 'value="4096"' in page


def test_a_new_revision_is_made(
    client: Client, deployment: Deployment, version: ModelVersion
) -> None:
    typed = {"version": version.id, "note": "More memory", "min_replicas": 1,
             "memory_mb": 4096, "threads": 1, "load_timeout_seconds": 60}  # fmt: skip
    answer = client.post(f"{PAGE}revisions/new/", typed)
    assert answer["Location"] == f"{PAGE}progress/"
    newest = deployment.revisions.latest("number")
    assert (newest.number, newest.note, newest.settings["memory_mb"]) == (2, "More memory", 4096)


def test_a_wrong_revision_keeps_what_was_typed(client: Client, deployment: Deployment) -> None:
    typed = {"version": "", "note": "More memory", "min_replicas": 1, "memory_mb": 4096}
    answer = client.post(f"{PAGE}revisions/new/", typed)
    page = answer.content.decode()
    assert answer.status_code == 400
    assert 'value="More memory"' in page
    assert 'value="4096"' in page
    assert deployment.revisions.count() == 1


# Settings, start, stop, delete


def test_details_are_changed(client: Client, deployment: Deployment) -> None:
    typed = {"name": "Loans", "description": "New", "use_case": deployment.use_case_id,
             "durability": "relaxed"}  # fmt: skip
    answer = client.post(f"{PAGE}settings/", typed, follow=True)
    assert "Saved." in answer.content.decode()
    deployment.refresh_from_db()
    assert (deployment.name, deployment.slug, deployment.durability) == (
        "Loans", "credit-risk", "relaxed",
    )  # fmt: skip


def test_wrong_details_keep_what_was_typed_and_the_head_shows_what_is(
    client: Client, deployment: Deployment
) -> None:
    typed = {"name": "", "description": "Typed", "use_case": deployment.use_case_id,
             "durability": "relaxed"}  # fmt: skip
    answer = client.post(f"{PAGE}settings/", typed)
    page = answer.content.decode()
    assert answer.status_code == 400
    assert "Typed</textarea>" in page
    assert "<h1>Credit risk</h1>" in page


def test_a_use_case_of_another_workspace_is_no_choice(
    client: Client, deployment: Deployment, other_workspace: Workspace, outsider: User
) -> None:
    foreign = services.create_use_case(workspace=other_workspace, name="Foreign", by=outsider)
    typed = {"name": "Loans", "use_case": foreign.id, "durability": "relaxed"}
    assert client.post(f"{PAGE}settings/", typed).status_code == 400


def test_stop_names_its_effect_and_stops(client: Client, deployment: Deployment) -> None:
    page = text_of(client, f"{PAGE}settings/")
    confirmation = page.split('<details class="confirm">')[1].split("</details>")[0]
    assert "answers 503 to every request" in confirmation
    assert "Stop Credit risk" in confirmation
    answer = client.post(f"{PAGE}stop/", follow=True)
    assert ">Stopped</span>" in answer.content.decode()
    deployment.refresh_from_db()
    assert deployment.desired == "stopped"
    client.post(f"{PAGE}start/")
    deployment.refresh_from_db()
    assert deployment.desired == "running"


def test_deletion_wants_the_name(client: Client, deployment: Deployment) -> None:
    answer = client.post(f"{PAGE}delete/", {"name": "credit"}, follow=True)
    assert "Type Credit risk to delete it; nothing was deleted." in answer.content.decode()
    deployment.refresh_from_db()
    assert deployment.desired == "running"


def test_a_deleted_deployment_leaves_the_list_and_its_record(
    client: Client, deployment: Deployment
) -> None:
    answer = client.post(f"{PAGE}delete/", {"name": "Credit risk"}, follow=True)
    page = answer.content.decode()
    assert "Credit risk is deleted. Its record stays." in page
    assert PAGE not in page
    deployment.refresh_from_db()
    assert deployment.desired == "deleted"
    assert deployment.revisions.count() == 1


# The log


def test_the_log_says_when_nothing_runs(client: Client, deployment: Deployment) -> None:
    assert "No model server runs" in text_of(client, f"{PAGE}log/")


def test_the_log_shows_what_a_server_wrote(client: Client, deployment: Deployment) -> None:
    move(deployment, "active")
    component = Component.objects.get()
    component.replicas.update(message="Segmentation fault")
    answer = client.get(f"{PAGE}log/", headers={"HX-Request": "true"})
    assert b"Segmentation fault" in answer.content
    assert b"<html" not in answer.content
    assert "HX-Request" in answer["Vary"]


def test_names_of_people_are_text_not_markup(
    client: Client, workspace: Workspace, version: ModelVersion, operator: User
) -> None:
    services.create_deployment(
        workspace=workspace, name="<b>Bold</b>", model_version=version, by=operator
    )
    assert "<b>Bold</b>" not in text_of(client, HOME)

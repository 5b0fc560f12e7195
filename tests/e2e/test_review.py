"""Review in browsers: by keyboard alone, two people at once, without a connection or a script."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import skops.io
from django.utils import timezone
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect
from sklearn.linear_model import LogisticRegression

from apps.accounts.models import Membership, User, Workspace
from apps.deployments import services as deployments
from apps.deployments.models import Deployment, Revision
from apps.feedback.authors import author_of
from apps.feedback.models import Claim, Evaluation, ReviewQueue
from apps.feedback.review import answers, claims
from apps.feedback.services import Judgement
from apps.predictions.models import PredictionRecord
from apps.registry import services as registry
from apps.registry.services import Upload
from tests.conftest import PASSWORD, make_user
from tests.e2e.accessibility import in_every_view
from tests.explanations.told import METADATA, told
from tests.feedback.review_pages.conftest import enter, make_queue
from tests.live import LiveServer

pytestmark = [pytest.mark.browser]
LIST = "/w/retail-credit/review/"


@pytest.fixture
def live(bank: User) -> Iterator[LiveServer]:
    """The web process alone: nothing has to answer here."""
    server = LiveServer()
    yield server.start()
    server.stop()


@pytest.fixture
def deployment(bank: User, tmp_path: Path) -> Deployment:
    skops.io.dump(LogisticRegression().fit([[0.0], [1.0]], [0, 1]), tmp_path / "m.skops")
    workspace = Workspace.objects.get()
    model = registry.create_model(workspace=workspace, name="Logistic", by=bank)
    upload = Upload("m.skops", [(tmp_path / "m.skops").read_bytes()])
    version = registry.add_version(model=model, artifact=upload, metadata=METADATA, by=bank)
    made = deployments.create_deployment(
        workspace=workspace, name="Credit risk", model_version=version, by=bank
    )
    revision = made.revisions.get()
    revision.state, revision.state_at = Revision.State.ACTIVE, timezone.now()
    revision.save()
    made.active_revision = revision
    made.save()
    return made


@pytest.fixture
def queue(deployment: Deployment, bank: User) -> ReviewQueue:
    return make_queue(deployment, bank)


def explain(records: list[PredictionRecord]) -> None:
    """What a real explainer says of the case of each."""
    text = json.dumps([told("shap.tree")])
    PredictionRecord.objects.filter(id__in=[each.id for each in records]).update(explanations=text)


def signed_in(browser: Browser, live: LiveServer, user: User, **options: Any) -> Page:
    context = browser.new_context(base_url=f"http://127.0.0.1:{live.port}", **options)
    page = context.new_page()
    page.goto("/account/login/")
    page.get_by_label("Email").fill(user.email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_url(lambda url: "login" not in url)
    return page


def case_on(page: Page) -> str:
    return page.locator("[data-case]").get_attribute("data-case") or ""


def other_case(page: Page, before: str) -> None:
    expect(page.locator("[data-case]")).not_to_have_attribute("data-case", before)


def test_ten_cases_are_judged_with_the_keyboard_alone(
    page: Page, queue: ReviewQueue, bank: User
) -> None:
    explain(enter(queue, 10))
    page.goto(f"{LIST}{queue.id}/")
    page.get_by_role("button", name="Start").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("0 judged in 24 h · 9 more cases wait")).to_be_visible()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_text("Tree SHAP")).to_be_visible()
    for number, keys in enumerate(["a", "d2", "u", "a1", "a", "d", "a", "a", "a", "a"], start=1):
        before = case_on(page)
        for key in keys:
            page.keyboard.press(key)
        page.keyboard.press("Enter")
        if number < 10:
            other_case(page, before)
            expect(page.get_by_text(f"{number} judged in 24 h")).to_be_visible()
    expect(page.get_by_text("Nothing waits for you now")).to_be_visible()
    kept = list(Evaluation.objects.order_by("id"))
    assert [each.verdict[0] for each in kept if each.verdict] == list("aduaadaaaa")
    assert (kept[1].desired_outcome, kept[1].reason, kept[3].reason) == (
        "good",
        "policy",
        "wrong-input",
    )
    assert all(each.spent_ms and each.spent_ms < 60_000 for each in kept)
    shown = kept[0].seen_value["explanations"]
    assert [each["id"] for each in shown] == ["recorded-0"]
    undone_by_keyboard(page)


def undone_by_keyboard(page: Page) -> None:
    page.keyboard.press("z")
    expect(page.locator("[name=verdict][value=agree]")).to_be_checked()
    assert Evaluation.objects.standing().count() == 9
    page.keyboard.press("c")
    page.keyboard.type("Looked again, as asked.")
    page.keyboard.press("Escape")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Nothing waits for you now")).to_be_visible()
    assert Evaluation.objects.standing().filter(comment="Looked again, as asked.").count() == 1


def test_the_next_case_is_there_before_the_answer_is_kept(page: Page, queue: ReviewQueue) -> None:
    explain(enter(queue, 3))
    waiting: list[Route] = []
    page.goto(f"{LIST}{queue.id}/")
    with page.expect_response("**/ahead/"):
        page.get_by_role("button", name="Start").click()
    expect(page.get_by_text("Tree SHAP")).to_be_visible()
    page.wait_for_timeout(300)
    page.route("**/answer/", lambda route: waiting.append(route))
    before = case_on(page)
    page.keyboard.press("a")
    page.keyboard.press("Enter")
    other_case(page, before)
    expect(page.get_by_text("1 judged in 24 h · 1 more case waits")).to_be_visible()
    expect(page.get_by_text("Tree SHAP")).to_be_visible()
    assert not Evaluation.objects.exists()
    with page.expect_response("**/answer/"):
        waiting[0].continue_()
    assert Evaluation.objects.count() == 1


def test_two_browsers_never_hold_the_same_case(
    browser: Browser, live: LiveServer, queue: ReviewQueue
) -> None:
    enter(queue, 6)
    pages = []
    for name in ("rita", "ruud"):
        user = make_user(name)
        Membership.objects.create(workspace=Workspace.objects.get(), user=user, role="reviewer")
        pages.append(signed_in(browser, live, user))
        pages[-1].goto(f"{LIST}{queue.id}/")
        pages[-1].get_by_role("button", name="Start").click()
    for _ in range(3):
        for page in pages:
            before = case_on(page)
            held = Claim.objects.filter(state="held").values_list("case", flat=True)
            assert len(held) == len(set(held))
            page.keyboard.press("a")
            page.keyboard.press("Enter")
            if before:
                other_case(page, before)
    for page in pages:
        page.context.close()
    judged = Evaluation.objects.values_list("prediction_id", flat=True)
    assert len(judged) == len(set(judged)) == 6


def test_a_lost_connection_loses_nothing(
    browser: Browser, live: LiveServer, queue: ReviewQueue, bank: User
) -> None:
    enter(queue, 2)
    page = signed_in(browser, live, bank)
    page.goto(f"{LIST}{queue.id}/")
    with page.expect_response("**/ahead/"):
        page.get_by_role("button", name="Start").click()
    page.keyboard.press("a")
    with page.expect_response("**/draft/"):
        page.get_by_role("textbox", name="Comment").type("Kept before.")
    page.context.set_offline(True)
    page.get_by_role("textbox", name="Comment").press_sequentially(" Typed without.")
    expect(page.get_by_text("The server cannot be reached.").first).to_be_visible()
    kept_when_it_is_back(page.context, page)
    answered_without_a_connection(page)
    page.context.close()


def kept_when_it_is_back(context: BrowserContext, page: Page) -> None:
    with page.expect_response("**/draft/", timeout=20_000):
        context.set_offline(False)
    page.reload()
    expect(page.get_by_role("textbox", name="Comment")).to_have_value("Kept before. Typed without.")
    expect(page.locator("[name=verdict][value=agree]")).to_be_checked()


def answered_without_a_connection(page: Page) -> None:
    """The case comes back with what was said, and is sent again."""
    before = case_on(page)
    page.context.set_offline(True)
    page.get_by_role("heading", level=2).first.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("press Enter to send it again")).to_be_visible()
    assert case_on(page) == before
    expect(page.get_by_role("textbox", name="Comment")).to_have_value("Kept before. Typed without.")
    page.context.set_offline(False)
    with page.expect_response("**/answer/"):
        page.keyboard.press("Enter")
    other_case(page, before)
    assert Evaluation.objects.get().comment == "Kept before. Typed without."


def test_blind_the_output_comes_after_ones_own_answer(
    page: Page, deployment: Deployment, bank: User
) -> None:
    queue = make_queue(deployment, bank, mode="blind")
    explain(enter(queue, 2))
    page.goto(f"{LIST}{queue.id}/")
    for _ in range(2):
        if page.get_by_role("button", name="Start").count():
            page.get_by_role("button", name="Start").click()
        expect(page.get_by_text("Your answer first")).to_be_visible()
        assert "The model says" not in page.locator("[data-case]").inner_html()
        before = case_on(page)
        page.keyboard.press("1")
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="The model says bad")).to_be_visible()
        expect(page.locator("[name=verdict][value=disagree]")).to_be_checked()
        page.keyboard.press("Enter")
        other_case(page, before)
    assert [each.seen_value["mode"] for each in Evaluation.objects.all()] == ["blind"] * 2


def test_a_case_is_judged_without_a_script(
    browser: Browser, live: LiveServer, queue: ReviewQueue, bank: User
) -> None:
    enter(queue, 2)
    page = signed_in(browser, live, bank, java_script_enabled=False)
    page.goto(LIST)
    page.get_by_role("link", name="Bad ones").click()
    page.get_by_role("button", name="Start").click()
    page.get_by_role("radio", name="Disagree").check()
    page.get_by_label("It should be").select_option("good")
    page.get_by_role("radio", name="Policy says otherwise").check()
    page.get_by_label("Comment").fill("Without a script")
    page.get_by_role("button", name="Confirm").click()
    expect(page.get_by_text("1 judged in 24 h")).to_be_visible()
    kept = Evaluation.objects.get()
    assert (kept.desired_outcome, kept.reason, kept.comment) == (
        "good",
        "policy",
        "Without a script",
    )
    page.get_by_role("button", name="Skip").click()
    expect(page.get_by_text("Nothing waits for you").first).to_be_visible()
    page.context.close()


def test_every_face_of_a_case_is_accessible_and_fits(
    page: Page, deployment: Deployment, bank: User
) -> None:
    twice = make_queue(deployment, bank, name="Twice", double_share=1.0)
    explain(enter(twice, 2))
    blind = make_queue(deployment, bank, name="Blind", mode="blind")
    [secret] = enter(blind)
    differ(twice)
    for queue, words in ((blind, "Your answer first"), (twice, "Two judgements differ")):
        page.goto(f"{LIST}{queue.id}/")
        page.get_by_role("button", name="Start").click()
        expect(page.get_by_text(words)).to_be_visible()
        page.wait_for_load_state("networkidle")
        assert in_every_view(page) == []
    page.goto(f"/w/retail-credit/predictions/{secret.id}/")
    page.get_by_text("Look without answering").click()
    expect(page.get_by_role("button", name="Leave it to others and look")).to_be_visible()
    assert in_every_view(page) == []
    page.goto(f"{LIST}new/credit-risk/")
    page.get_by_label("Name").fill("Doubtful")
    page.get_by_role("button", name="See what would enter").click()
    expect(page.get_by_role("heading", name="What would enter")).to_be_visible()
    assert in_every_view(page) == []


def differ(queue: ReviewQueue) -> None:
    """Two people judge the first case, and do not say the same."""
    for name, judgement in (
        ("rita", Judgement("agree", comment="The income does not carry it.")),
        ("ruud", Judgement("disagree", desired_output="good", reason="policy")),
    ):
        user = make_user(name)
        Membership.objects.create(workspace=Workspace.objects.get(), user=user, role="reviewer")
        now = timezone.now()
        claim = claims.claim_next(queue=queue, reviewer=user, now=now)
        assert claim is not None
        answers.answer(claim=claim, judgement=judgement, by=author_of(user), now=now)

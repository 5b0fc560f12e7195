"""Bundles carry what was said and what turned out to be true; whatever is changed is named."""

import io
import json
import zipfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from apps.accounts.models import User, Workspace
from apps.audit import verify_bundle
from apps.audit.models import Event
from apps.deployments.models import Deployment
from apps.feedback import services
from apps.feedback.authors import Author
from apps.feedback.services import Given, Judgement
from apps.predictions import services as predictions
from apps.predictions.models import PredictionRecord
from tests.predictions.bundles import (
    Lines,
    agree_on,
    cut,
    exported,
    found,
    rewrite,
    swap,
    verify,
    without,
)
from tests.predictions.factories import prediction_of
from tests.predictions.records import judge, make_deployment


@pytest.fixture(autouse=True)
def own_var_dir(settings: Any, tmp_path: Path) -> None:
    """Checkpoints leave copies, which would speak of other tests' databases."""
    settings.VAR_DIR = tmp_path / "var"


@pytest.fixture
def said(deployment: Deployment, author: Author, other_author: Author) -> list[PredictionRecord]:
    """Three predictions: judged by two, corrected, withdrawn; two batches, the second corrects."""
    now = timezone.now()
    made = [prediction_of(deployment) for _ in range(3)]
    wrong = Judgement("disagree", "good", "Income was misread", "wrong-input")
    first = services.evaluate_prediction(prediction=made[0], judgement=wrong, by=author, now=now)
    services.correct_evaluation(
        evaluation=first, prediction=made[0], judgement=Judgement("unsure"), by=author, now=now
    )
    other = services.evaluate_prediction(
        prediction=made[1], judgement=Judgement("agree"), by=other_author, now=now
    )
    services.withdraw_evaluation(evaluation=other, prediction=made[1], by=other_author, now=now)
    for rows in (made, made[1:]):
        value = "bad" if len(rows) == 3 else "good"
        given = [Given(value, prediction_id=each.id) for each in rows]
        services.record_actuals(deployment=deployment, rows=given, by=author, now=now)
    return made


@pytest.fixture
def bundle(said: list[PredictionRecord], tmp_path: Path) -> Path:
    path = tmp_path / "bundle.zip"
    call_command("export_bundle", out=path, stdout=io.StringIO())
    return path


def lines_of(path: Path, part: str) -> Lines:
    with zipfile.ZipFile(path) as archive:
        return [json.loads(line) for line in archive.read(f"{part}.jsonl").splitlines()]


def test_a_bundle_carries_what_was_said_and_what_turned_out(bundle: Path) -> None:
    result = verify(bundle)
    assert result.returncode == 0, result.stderr
    assert "4 evaluations, 0 erased: intact" in result.stdout
    assert "5 actuals, 0 erased: intact" in result.stdout
    first, *_ = lines_of(bundle, "evaluations")
    assert (first["content"]["verdict"], first["content"]["comment"]) == (
        "disagree",
        "Income was misread",
    )
    assert [line["content"]["outcome"] for line in lines_of(bundle, "actuals")] == [
        *["bad"] * 3,
        *["good"] * 2,
    ]


def change(number: int, name: str, value: Any) -> Callable[[Lines], Lines]:
    def changed(lines: Lines) -> Lines:
        lines[number]["content"][name] = value
        return lines

    return changed


def forge(number: int, name: str, value: Any) -> Callable[[Lines], Lines]:
    """The change with a digest that fits."""

    def forged(lines: Lines) -> Lines:
        line = change(number, name, value)(lines)[number]
        line["digest"] = verify_bundle.salted_digest(line["salt"], line["content"])
        return lines

    return forged


def empty(*names: str) -> Callable[[Lines], Lines]:
    """As if the prediction had been erased."""

    def emptied(lines: Lines) -> Lines:
        lines[0]["content"] |= dict.fromkeys(names)
        lines[0]["salt"] = None
        return lines

    return emptied


def across_batches(lines: Lines) -> Lines:
    lines[2], lines[3] = lines[3], lines[2]
    return lines


def add(lines: Lines) -> Lines:
    return [*lines, lines[-1] | {"id": "ffffffff-0000-7000-8000-000000000000"}]


VERDICT = ("verdict", "desiredOutput", "desiredOutcome", "comment", "reason", "seen", "spentMs")
TAMPERINGS = {
    "a changed verdict": ("evaluations", change(0, "verdict", "agree"), "not what was recorded"),
    "a changed verdict with a new digest": (
        "evaluations",
        forge(0, "verdict", "agree"),
        "no event says that it was made so",
    ),
    "a removed evaluation": ("evaluations", without(1), "tells of it, and it is not here"),
    "a cut tail of evaluations": ("evaluations", cut, "tells of it, and it is not here"),
    "a swapped pair of evaluations": ("evaluations", swap, "out of its order"),
    "an added evaluation": ("evaluations", add, "no event says that it was made so"),
    "an emptied evaluation": (
        "evaluations",
        empty(*VERDICT),
        "no event says that its prediction was erased",
    ),
    "a changed actual": ("actuals", change(4, "outcome", "bad"), "not what was recorded"),
    "a changed actual with a new digest": (
        "actuals",
        forge(4, "outcome", "bad"),
        "they are not the ones that event",
    ),
    "a removed actual": ("actuals", without(1), "binds 3, 2 are here"),
    "a removed batch": ("actuals", lambda lines: lines[:3], "tells of it, and it is not here"),
    "a swapped pair of actuals": ("actuals", swap, "out of its order"),
    "an actual in another batch": ("actuals", across_batches, "binds 3, 2 are here"),
    "an added actual": ("actuals", add, "not what was recorded"),
    "an emptied actual": (
        "actuals",
        empty("value", "outcome"),
        "no event says that its prediction was erased",
    ),
}


@pytest.mark.parametrize("name", TAMPERINGS)
def test_whatever_is_changed_is_found_and_named(bundle: Path, name: str) -> None:
    part, change, message = TAMPERINGS[name]
    rewrite(bundle, {f"{part}.jsonl": change})
    result = verify(bundle)
    assert result.returncode == 1
    first = result.stderr.splitlines()[-1]
    assert first.startswith(f"The first broken link: {part[:-1]}")
    assert message in first


def test_the_place_names_the_line(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    changed = lines_of(bundle, "evaluations")[2]["id"]
    rewrite(bundle, {"evaluations.jsonl": change(2, "verdict", "disagree")})
    assert found(bundle, capsys)[0].startswith(f"evaluation {changed}: ")


# Erasure


@pytest.fixture
def erased(said: list[PredictionRecord], author: Author, tmp_path: Path) -> Path:
    predictions.erase_prediction(
        prediction=said[1], reason="Asked for", by=author.actor, now=timezone.now()
    )
    return exported(tmp_path / "erased.zip", workspace=None)


def test_what_was_erased_stays_erased_and_is_proved_by_its_digest(
    erased: Path, said: list[PredictionRecord]
) -> None:
    result = verify(erased)
    assert result.returncode == 0, result.stderr
    assert "4 evaluations, 2 erased: intact" in result.stdout
    assert "5 actuals, 2 erased: intact" in result.stdout
    for part, names in verify_bundle.ADDED.items():
        for line in lines_of(erased, part):
            if line["content"]["predictionId"] == str(said[1].id):
                assert line["salt"] is None
                assert [line["content"][name] for name in names] == [None] * len(names)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("verdict", "agree", "it was erased, but has content"),
        ("predictionId", "another", "what is left of it is not what its event says"),
        ("supersedes", None, "what is left of it is not what its event says"),
    ],
)
def test_what_is_left_of_an_erased_evaluation_is_bound_too(
    erased: Path, capsys: pytest.CaptureFixture[str], name: str, value: Any, message: str
) -> None:
    rewrite(erased, {"evaluations.jsonl": change(3, name, value)})
    assert message in found(erased, capsys)[0]


# Parts of the record


def test_a_bundle_of_one_deployment_shows_no_words_of_others(
    said: list[PredictionRecord],
    workspace: Workspace,
    operator: User,
    tmp_path: Path,
) -> None:
    (tmp_path / "other").mkdir()
    other = make_deployment(workspace, "Income check", operator, tmp_path / "other")
    judge(prediction_of(other))
    for slug, counts in (("credit-risk", (4, 5)), ("income-check", (1, 1))):
        path = exported(tmp_path / "part.zip", workspace=workspace, deployment=slug)
        result = verify(path)
        assert result.returncode == 0, result.stderr
        for part, count in zip(("evaluations", "actuals"), counts, strict=True):
            assert f"{count} {part}, 0 erased: intact" in result.stdout
            assert len(lines_of(path, part)) == count


def test_a_bundle_since_a_time_holds_what_was_said_since(
    said: list[PredictionRecord], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    since = Event.objects.get(name="evaluation.corrected").at
    path = exported(tmp_path / "late.zip", workspace=None, since=since)
    assert found(path, capsys) == []
    later = exported(tmp_path / "later.zip", workspace=None, since=since + timedelta(days=1))
    assert found(later, capsys) == []
    assert (lines_of(later, "evaluations"), lines_of(later, "actuals")) == ([], [])


def test_a_bundle_from_before_says_what_it_does_not_hold(
    bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Bundles were made without evaluations and actuals once."""

    def older(manifest: dict[str, Any]) -> dict[str, Any]:
        for part in ("evaluations", "actuals"):
            del manifest["files"][f"{part}.jsonl"], manifest["parts"][part]
        return manifest

    rewrite(bundle, {"manifest.json": older})
    verify_bundle.main([str(bundle)])
    said = capsys.readouterr()
    assert "Events tell of evaluations: 4; this bundle holds none" in said.out
    assert "evaluation" not in said.err


def test_many_batches_are_read_some_at_a_time(
    said: list[PredictionRecord], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apps.feedback.record._AT_ONCE", 2)
    path = exported(tmp_path / "slow.zip", workspace=None)
    assert verify(path).returncode == 0
    assert len(lines_of(path, "actuals")) == 5


# Both verifiers agree

EVALUATION = "UPDATE feedback_evaluation SET"
CHANGES = {
    "nothing": "SELECT 1",
    "an edited verdict": f"{EVALUATION} verdict = 'unsure' WHERE verdict = 'agree'",
    "an edited comment": f"{EVALUATION} comment = 'Fine' WHERE comment IS NOT NULL",
    "an evaluation by another": f"{EVALUATION} author_name = 'x'",
    "another digest": f"{EVALUATION} digest = salt",
    "an evaluation of another prediction": f"{EVALUATION} prediction_id = gen_random_uuid()",
    "an emptied evaluation": f"{EVALUATION} verdict = NULL, desired_output = NULL, comment = NULL, "
    "desired_outcome = NULL, reason = NULL, seen = NULL, spent_ms = NULL, salt = NULL, "
    "erased_at = now()",
    "a removed evaluation": "DELETE FROM feedback_evaluation WHERE verdict = 'withdrawn'",
    "an edited actual": "UPDATE feedback_actual SET outcome = 'bad' WHERE is_current",
    "an actual in another batch": "UPDATE feedback_actual SET batch = gen_random_uuid() "
    "WHERE is_current",
    "an emptied actual": "UPDATE feedback_actual SET value = NULL, outcome = NULL, salt = NULL, "
    "erased_at = now()",
    "a removed actual": "DELETE FROM feedback_actual WHERE is_current",
    "all actuals removed": "DELETE FROM feedback_actual",
}


@pytest.mark.parametrize("name", CHANGES)
def test_both_verifiers_agree(
    said: list[PredictionRecord], tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with connection.cursor() as cursor:
        cursor.execute(CHANGES[name])
    assert agree_on(tmp_path / "b.zip", capsys) == (name == "nothing")

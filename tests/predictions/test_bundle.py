"""A bundle is checked by one file that imports nothing of ours, and it finds everything."""

import io
import json
import random
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from apps.accounts.models import User, Workspace
from apps.audit import verify_bundle
from apps.audit.chain import merkle_path, merkle_root
from apps.audit.checkpoints import create_checkpoint, public_key
from apps.audit.models import Event
from apps.deployments.models import Deployment
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
from tests.predictions.records import Call, erase, explain, judge, make_deployment, write


@pytest.fixture(autouse=True)
def own_var_dir(settings: Any, tmp_path: Path) -> None:
    """Checkpoints leave copies, which would speak of other tests' databases."""
    settings.VAR_DIR = tmp_path / "var"


@pytest.fixture
def deployment(
    transactional_db: None, workspace: Workspace, operator: User, tmp_path: Path
) -> Deployment:
    return make_deployment(workspace, "Credit risk", operator, tmp_path)


@pytest.fixture
def other_deployment(workspace: Workspace, operator: User, tmp_path: Path) -> Deployment:
    return make_deployment(workspace, "Income check", operator, tmp_path)


@pytest.fixture
def log(deployment: Deployment, other_deployment: Deployment) -> None:
    """Two writers, shared seals, a refusal, a checkpoint in between, and what was added later."""
    ours, theirs = ((d.id, d.revisions.get().id) for d in (deployment, other_deployment))
    write([Call(*ours)], [Call(*ours), Call(*theirs), Call(*ours, status=400)], [Call(*theirs)])
    create_checkpoint(now=timezone.now())
    write([Call(*theirs), Call(*ours, outcomes=["good"] * 5)])
    for each in (deployment, other_deployment):
        explain(PredictionRecord.objects.filter(deployment=each).earliest("id"))
        judge(PredictionRecord.objects.filter(deployment=each).latest("id"))


@pytest.fixture
def bundle(log: None, tmp_path: Path) -> Path:
    path = tmp_path / "bundle.zip"
    call_command("export_bundle", out=path, stdout=io.StringIO())
    return path


def test_an_untouched_bundle_is_intact(bundle: Path) -> None:
    result = verify(bundle, "--key", public_key().hex())
    assert result.returncode == 0, result.stderr
    assert "The record is intact." in result.stdout
    assert "4 seals, 2 writers, 22 records, 0 erased: intact" in result.stdout
    assert "1 checkpoints: intact" in result.stdout
    assert "2 explanations, 0 erased: intact" in result.stdout
    assert "2 evaluations, 0 erased: intact" in result.stdout
    assert "2 actuals, 0 erased: intact" in result.stdout


def edit_prediction(lines: Lines) -> Lines:
    line = next(line for line in lines if line["kind"] == "prediction")
    line["content"]["input"] = line["content"]["input"].replace("40", "41")
    return lines


def edit_with_fitting_digest(lines: Lines) -> Lines:
    edit_prediction(lines)
    line = next(line for line in lines if line["kind"] == "prediction")
    line["digest"] = verify_bundle.salted_digest(line["salt"], line["content"])
    return lines


def swap_contents(lines: Lines) -> Lines:
    for name in ("content", "salt", "digest"):
        lines[1][name], lines[2][name] = lines[2][name], lines[1][name]
    return lines


def edit(field: str, value: Any) -> Callable[[Lines], Lines]:
    def change(lines: Lines) -> Lines:
        lines[1][field] = value
        return lines

    return change


def edit_explanation(lines: Lines) -> Lines:
    lines[0]["content"]["explanation"] = lines[0]["content"]["explanation"].replace("0.5", "0.4")
    return lines


def edit_explanation_with_fitting_digest(lines: Lines) -> Lines:
    edit_explanation(lines)
    lines[0]["digest"] = verify_bundle.salted_digest(lines[0]["salt"], lines[0]["content"])
    return lines


def empty_explanation(lines: Lines) -> Lines:
    lines[0]["salt"] = lines[0]["content"]["explanation"] = None
    return lines


def forge_checkpoint(lines: Lines) -> Lines:
    lines[0]["content"] = lines[0]["content"].replace('"number":', '"number":1')
    return lines


TAMPERINGS = {
    "one byte of a prediction": ("records.jsonl", edit_prediction, "not what was recorded"),
    "a prediction with a new digest": (
        "records.jsonl",
        edit_with_fitting_digest,
        "not the ones that were sealed",
    ),
    "a swapped pair of records": ("records.jsonl", swap, "out of its order"),
    "swapped contents": ("records.jsonl", swap_contents, "not what was recorded"),
    "a deleted record": ("records.jsonl", without(1), "3 records were sealed, 2 are here"),
    "a cut tail of records": ("records.jsonl", cut, "records were sealed"),
    "a record under another seal": ("records.jsonl", edit("seal", 99), "records were sealed"),
    "a deleted seal": ("seals.jsonl", without(1), "seal 2 should stand here"),
    "a cut tail of seals": ("seals.jsonl", cut, "its tail was cut"),
    "an edited seal": ("seals.jsonl", edit("count", 8), "not what was sealed"),
    "a swapped pair of seals": ("seals.jsonl", swap, "should stand here"),
    "a deleted event": ("events.jsonl", without(2), "event 3 should stand here"),
    "a swapped pair of events": ("events.jsonl", swap, "event 2 should stand here"),
    "a cut tail of events": ("events.jsonl", cut, "its tail was cut"),
    "an edited event": ("events.jsonl", edit("salt", "00"), "not what was recorded"),
    "a forged checkpoint": ("checkpoints.jsonl", forge_checkpoint, "signature does not match"),
    "an edited explanation": ("explanations.jsonl", edit_explanation, "not what was recorded"),
    "an explanation with a new digest": (
        "explanations.jsonl",
        edit_explanation_with_fitting_digest,
        "no event says that it was made so",
    ),
    "a swapped pair of explanations": (
        "explanations.jsonl",
        lambda lines: lines[::-1],
        "out of its order",
    ),
    "a removed explanation": ("explanations.jsonl", cut, "and it is not here"),
    "an emptied explanation": (
        "explanations.jsonl",
        empty_explanation,
        "no event says that its prediction was erased",
    ),
    "a removed checkpoint": ("checkpoints.jsonl", cut, "not the file that the manifest"),
}


@pytest.mark.parametrize("name", TAMPERINGS)
def test_whatever_is_changed_is_found_and_named(bundle: Path, name: str) -> None:
    part, change, message = TAMPERINGS[name]
    rewrite(bundle, {part: change})
    result = verify(bundle)
    assert result.returncode == 1
    first = result.stderr.splitlines()[-1]
    assert first.startswith("The first broken link: ")
    assert message in first


def test_a_forger_who_signs_anew_is_betrayed_by_the_key(
    bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rewrite(bundle, {"checkpoints.jsonl": lambda lines: []}, key=Ed25519PrivateKey.generate())
    assert found(bundle, capsys) == []
    problems = found(bundle, capsys, "--key", public_key().hex())
    assert "another key" in problems[0]


def test_a_checkpoint_that_was_kept_betrays_a_cut_tail(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with zipfile.ZipFile(bundle) as archive:
        kept = tmp_path / "kept.json"
        kept.write_bytes(archive.read("checkpoints.jsonl"))
    bound = json.loads(json.loads(kept.read_text())["content"])["events"]["number"]
    last: dict[str, Any] = {}

    def shorten(lines: Lines) -> Lines:
        last.update(lines[bound - 2])
        return lines[: bound - 1]

    def head(manifest: dict[str, Any]) -> dict[str, Any]:
        manifest["events"] |= {"number": last["number"], "hash": last["hash"]}
        return manifest

    parts = {"events.jsonl": shorten, "manifest.json": head, "checkpoints.jsonl": lambda _: []}
    parts |= {f"{part}.jsonl": lambda _: [] for part in verify_bundle.ADDED}
    rewrite(bundle, parts, key=Ed25519PrivateKey.generate())
    assert found(bundle, capsys) == []
    problems = found(bundle, capsys, "--checkpoint", str(kept), "--key", public_key().hex())
    assert any(f"event {bound} is gone" in problem for problem in problems)


def test_no_byte_of_a_part_can_change_unnoticed(
    bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with zipfile.ZipFile(bundle) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    chance = random.Random(7)
    for name in [*verify_bundle.MEMBERS, "manifest.json"]:
        for _ in range(8):
            content = bytearray(parts[name])
            content[chance.randrange(len(content))] ^= 1 << chance.randrange(7)
            changed = bundle.with_name("changed.zip")
            with zipfile.ZipFile(changed, "w") as archive:
                for part, text in (parts | {name: bytes(content)}).items():
                    archive.writestr(part, text)
            assert verify_bundle.main([str(changed)]) != 0, (name, bytes(content))
    capsys.readouterr()


def test_a_file_that_is_no_bundle_is_called_so(tmp_path: Path) -> None:
    (tmp_path / "x.zip").write_bytes(b"PK nothing")
    result = verify(tmp_path / "x.zip")
    assert result.returncode == 2
    assert "cannot be read as a bundle" in result.stderr


# A part of the record


@pytest.fixture
def part(log: None, deployment: Deployment, tmp_path: Path) -> Path:
    return exported(tmp_path / "part.zip", workspace=deployment.workspace, deployment="credit-risk")


def test_a_bundle_of_one_deployment_proves_its_records_and_shows_no_others(
    part: Path, other_deployment: Deployment
) -> None:
    result = verify(part)
    assert result.returncode == 0, result.stderr
    assert "13 records" in result.stdout
    for added in ("explanations", "evaluations", "actuals"):
        assert f"1 {added}, 0 erased: intact" in result.stdout
    with zipfile.ZipFile(part) as archive:
        everything = b"".join(archive.read(name) for name in archive.namelist()).decode()
    assert str(other_deployment.id) not in everything
    assert "Credit risk" in everything


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (edit_prediction, "not what was recorded"),
        (edit_with_fitting_digest, "does not lead to the root"),
        (edit("index", 0), "out of its order"),
        (edit("path", []), "does not lead to the root"),
        (cut, "not the file that the manifest"),
    ],
)
def test_tampering_with_a_part_is_found(part: Path, change: Any, message: str) -> None:
    rewrite(part, {"records.jsonl": change})
    result = verify(part)
    assert result.returncode == 1
    assert message in result.stderr.splitlines()[-1]


def test_a_bundle_since_a_time_begins_at_its_anchor(
    log: None, deployment: Deployment, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = exported(tmp_path / "late.zip", workspace=None, since=timezone.now())
    assert found(path, capsys) == []
    middle = Event.objects.get(number=4).at
    path = exported(tmp_path / "late.zip", workspace=None, since=middle)
    assert found(path, capsys) == []
    rewrite(path, {"events.jsonl": without(0)})
    assert "event 4 should stand here" in found(path, capsys)[0]


def test_an_empty_record_makes_a_bundle(
    transactional_db: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert found(exported(tmp_path / "empty.zip", workspace=None), capsys) == []


def test_an_export_is_itself_an_event(bundle: Path) -> None:
    assert Event.objects.get(name="bundle.exported").object_name == "the whole record"


def test_the_command_names_what_it_cannot_find(log: None, tmp_path: Path) -> None:
    out = tmp_path / "x.zip"
    for wrong, message in (
        ({"workspace": "nowhere"}, "no workspace nowhere"),
        ({"workspace": "retail-credit", "deployment": "x"}, "no deployment x"),
        ({"deployment": "x"}, "needs --workspace"),
        ({"since": "soon"}, "soon is no date"),
    ):
        with pytest.raises(CommandError, match=message):
            call_command("export_bundle", out=out, **wrong)
    assert not out.exists()


# Both verifiers agree

CHANGES = {
    "nothing": "SELECT 1",
    "an edited prediction": "UPDATE predictions_prediction SET outcome = 'fine'",
    "an edited request": "UPDATE predictions_request SET status_code = 201",
    "a deleted prediction": "DELETE FROM predictions_prediction WHERE position = 1",
    "a prediction moved": "UPDATE predictions_prediction SET seal = 1 WHERE seal = 2",
    "a prediction under no seal": "UPDATE predictions_prediction SET seal = 9 WHERE position = 1",
    "a deleted seal": "DELETE FROM audit_seal WHERE number = 2",
    "a cut tail": "DELETE FROM audit_seal WHERE number = 3",
    "an edited seal": "UPDATE audit_seal SET count = count + 1 WHERE number = 2",
    "a deleted event": "DELETE FROM audit_event WHERE number = 3",
    "an edited event": "UPDATE audit_event SET object_name = 'x' WHERE number = 3",
    "an edited head": "UPDATE audit_eventhead SET number = number + 1",
    "an edited explanation": "UPDATE explanations_explanation SET text = '{}'",
    "an explanation by another": "UPDATE explanations_explanation SET by_name = 'x'",
    "a deleted explanation": "DELETE FROM explanations_explanation",
    "an emptied explanation": "UPDATE explanations_explanation SET text = NULL, salt = NULL, "
    "erased_at = now()",
    "an explanation of nobody": "INSERT INTO explanations_explanation SELECT gen_random_uuid(), "
    "now(), prediction_id, name, method, text, salt, digest, at, by_kind, by_id, by_name, "
    "erased_at, deployment_id, revision_id FROM explanations_explanation LIMIT 1",
    "a forged checkpoint": "UPDATE audit_checkpoint SET content = replace(content, '1', '2')",
}


@pytest.mark.parametrize("name", CHANGES)
def test_both_verifiers_agree(
    log: None, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with connection.cursor() as cursor:
        cursor.execute(CHANGES[name])
    assert agree_on(tmp_path / "b.zip", capsys) == (name == "nothing")


@pytest.fixture
def erased(log: None, deployment: Deployment) -> PredictionRecord:
    record = PredictionRecord.objects.filter(deployment=deployment).first()
    assert record is not None
    erase(record, deployment)
    return record


def test_an_erased_record_is_proved_by_its_digest(
    erased: PredictionRecord, deployment: Deployment, tmp_path: Path
) -> None:
    workspace = deployment.workspace
    for scope in (
        {"workspace": None},
        {"workspace": workspace},
        {"workspace": workspace, "deployment": "credit-risk"},
    ):
        result = verify(exported(tmp_path / "erased.zip", **scope))
        assert result.returncode == 0, result.stderr
        assert "1 erased" in result.stdout
    call_command("verify", stdout=io.StringIO())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("UPDATE predictions_prediction SET salt = NULL", "no event says that it was erased"),
        ("UPDATE predictions_prediction SET position = 9 WHERE salt IS NULL", "what is left of it"),
        ("UPDATE predictions_prediction SET input = '1' WHERE salt IS NULL", "what is left of it"),
    ],
)
def test_nothing_else_passes_for_an_erasure(
    erased: PredictionRecord,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    change: str,
    message: str,
) -> None:
    with connection.cursor() as cursor:
        cursor.execute(change)
    assert message in found(exported(tmp_path / "b.zip", workspace=None), capsys)[0]


# The arithmetic

# RFC 8032, section 7.1: tests 1 to 3.
VECTORS = [
    (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e3970"
        "1cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613"
        "d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
    (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760"
        "984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ),
]


@pytest.mark.parametrize(("key", "message", "signature"), VECTORS)
def test_ed25519_holds_for_the_vectors_of_the_rfc(key: str, message: str, signature: str) -> None:
    public, text, signed = map(bytes.fromhex, (key, message, signature))
    assert verify_bundle.ed25519_holds(public, signed, text)
    assert not verify_bundle.ed25519_holds(public, signed, text + b"x")
    for byte in (0, 31, 32, 63):
        wrong = bytearray(signed)
        wrong[byte] ^= 1
        assert not verify_bundle.ed25519_holds(public, bytes(wrong), text)
    assert not verify_bundle.ed25519_holds(public[:-1] + bytes([public[-1] ^ 1]), signed, text)


def test_a_signature_with_a_scalar_beyond_the_order_is_refused() -> None:
    public, _, signature = (bytes.fromhex(value) for value in VECTORS[0])
    scalar = int.from_bytes(signature[32:], "little") + 2**252
    scalar += 27742317777372353535851937790883648493
    assert not verify_bundle.ed25519_holds(
        public, signature[:32] + scalar.to_bytes(32, "little"), b""
    )


@pytest.mark.parametrize("count", [*range(1, 18), 31, 33])
def test_every_leaf_has_a_path_to_the_root_and_to_no_other(count: int) -> None:
    digests = [bytes([number]) * 32 for number in range(count)]
    root = merkle_root(digests).hex()
    assert verify_bundle.merkle_root([digest.hex() for digest in digests]) == root
    for index, digest in enumerate(digests):
        path = [step.hex() for step in merkle_path(digests, index)]
        assert verify_bundle.root_from_path(digest.hex(), index, count, path) == root
        for wrong in (index - 1, index + 1):
            assert verify_bundle.root_from_path(digest.hex(), wrong, count, path) != root
        assert verify_bundle.root_from_path(digest.hex(), index, count, [*path, root]) is None

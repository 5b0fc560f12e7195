"""Which predictions a data set holds, with which label, and what the files say."""

import hashlib
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
from django.utils import timezone

from apps.feedback.datasets.columns import columns_of
from apps.feedback.datasets.models import DataSetExport
from apps.feedback.models import Claim, ReviewCase, ReviewQueue
from tests.feedback.datasets.conftest import Labels

Make = Callable[..., DataSetExport]


def read(dataset: DataSetExport) -> list[dict[str, Any]]:
    return pyarrow.parquet.read_table(dataset.path).to_pylist()


def label(dataset: DataSetExport) -> dict[str, tuple[Any, Any]]:
    return {r["custom_id"]: (r["label"], r["label_source"]) for r in read(dataset)}


def in_queue(labels: Labels, record: Any, probability: float, name: str = "Audit") -> ReviewCase:
    queue, _ = ReviewQueue.objects.get_or_create(
        deployment=labels.deployment,
        name=name,
        defaults={"created_by_id": labels.first.id},
    )
    return ReviewCase.objects.create(
        queue=queue,
        prediction_id=record.id,
        at=timezone.now(),
        is_certain=probability == 1,
        probability=probability,
        slice_probability=min(probability, 0.1),
    )


def test_a_row_says_what_was_known_predicted_and_right(labels: Labels, make: Make) -> None:
    record = labels.predicted("A-1", age=33)
    labels.judged(record, "disagree", "good")
    in_queue(labels, record, 0.05)
    [row] = read(make())
    assert row["prediction_id"] == str(record.id)
    assert (row["age"], row["city"], row["income"]) == (33.0, "Urk", 2500.5)
    assert (row["prediction"], row["label"], row["label_source"]) == ("bad", "good", "evaluation")
    assert (row["probability"], row["revision"]) == (pytest.approx(0.05), 1)
    assert row["weight"] == pytest.approx(20)
    assert row["predicted_at"] == record.at


def test_an_agreement_labels_with_the_prediction(labels: Labels, make: Make) -> None:
    labels.judged(labels.predicted("A"), "agree")
    assert label(make()) == {"A": ("bad", "evaluation")}


def test_what_nobody_labelled_stays_out(labels: Labels, make: Make) -> None:
    labels.predicted("nothing")
    labels.judged(labels.predicted("unsure"), "unsure")
    labels.judged(labels.predicted("wrong, but not what is right"), "disagree")
    assert make().rows == 0


def test_an_actual_comes_before_what_people_said(labels: Labels, make: Make) -> None:
    record = labels.predicted("A")
    labels.judged(record, "agree")
    labels.turned_out(record, "good")
    assert label(make()) == {"A": ("good", "actual")}
    assert label(make(sources=("evaluation",))) == {"A": ("bad", "evaluation")}


def test_a_correction_takes_the_place_of_what_was_said_before(labels: Labels, make: Make) -> None:
    judged, known, back = (labels.predicted(each) for each in ("judged", "known", "back"))
    labels.judged(judged, "agree")
    labels.corrected(judged, "disagree", "good")
    labels.turned_out(known, "good")
    labels.turned_out(known, "bad")
    labels.judged(back, "agree")
    labels.withdrawn(back)
    assert label(make()) == {"judged": ("good", "evaluation"), "known": ("bad", "actual")}
    assert make().rows == 2


def test_two_who_contradict_each_other_label_nothing(labels: Labels, make: Make) -> None:
    record = labels.predicted("A")
    labels.judged(record, "agree")
    labels.judged(record, "disagree", "good", by=labels.second)
    assert make().rows == 0


def test_an_adjudication_decides_between_two(labels: Labels, make: Make) -> None:
    record = labels.predicted("A")
    labels.judged(record, "agree")
    labels.judged(record, "disagree", "good", by=labels.second)
    Claim.objects.create(
        case=in_queue(labels, record, 1),
        reviewer_id=labels.second.id,
        at=timezone.now(),
        until=timezone.now(),
        state=Claim.State.ANSWERED,
        is_adjudication=True,
    )
    assert label(make()) == {"A": ("good", "adjudication")}


def test_a_weight_allows_for_every_queue_that_could_have_taken_it(
    labels: Labels, make: Make
) -> None:
    twice, certain, unqueued = (labels.predicted(name) for name in "ABC")
    for record in (twice, certain, unqueued):
        labels.judged(record, "agree")
    in_queue(labels, twice, 0.5)
    in_queue(labels, twice, 0.2, "Other")
    in_queue(labels, certain, 1)
    weights = {row["custom_id"]: row["weight"] for row in read(make())}
    assert weights == {"A": pytest.approx(1 / 0.6), "B": 1, "C": 1}


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        ({"classes": ("good",)}, ["A"]),
        ({"sources": ("actual",)}, ["A"]),
        ({"revisions": (1,)}, ["A", "B"]),
        ({"start": timezone.now() + timedelta(days=1)}, []),
        ({"end": timezone.now() - timedelta(days=1)}, []),
    ],
)
def test_filters_narrow_it(labels: Labels, make: Make, wanted: Any, names: list[str]) -> None:
    labels.turned_out(labels.predicted("A"), "good")
    labels.judged(labels.predicted("B"), "agree")
    assert sorted(label(make(**wanted))) == names


def test_csv_and_parquet_hold_the_same_under_their_checksums(labels: Labels, make: Make) -> None:
    for number in range(25):
        record = labels.predicted(f"=A-{number}" if number else None, age=number, city='"Ede", Urk')
        labels.turned_out(record, "good" if number % 2 else "bad")
    csv, parquet = make(format="csv"), make(format="parquet")
    table = pyarrow.parquet.read_table(parquet.path)
    options = pyarrow.csv.ConvertOptions(
        column_types=table.schema, strings_can_be_null=True, quoted_strings_can_be_null=False
    )
    assert pyarrow.csv.read_csv(csv.path, convert_options=options).equals(table)
    assert (csv.rows, parquet.rows) == (25, 25)
    for dataset in (csv, parquet):
        content = dataset.path.read_bytes()
        assert hashlib.sha256(content).hexdigest() == dataset.sha256
        assert len(content) == dataset.size_bytes


def test_the_same_labels_give_the_same_file(labels: Labels, make: Make) -> None:
    labels.turned_out(labels.predicted("A"), "good")
    first, second = make(), make()
    assert (first.sha256, first.version) == (second.sha256, 1)
    assert second.version == 2


def test_inputs_whose_features_nobody_named_are_left_as_json() -> None:
    assert columns_of([]).schema.field("input").type == pa.string()

"""Two revisions beside each other share their axes, or say why they cannot."""

from copy import deepcopy
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from apps.accounts.models import User
from apps.deployments import services as deployments
from apps.explanations import comparison
from apps.explanations.general import beliefs_of
from apps.explanations.models import GlobalExplanation

TAB = "/w/retail-credit/deployments/credit-risk/explanations/"


@pytest.fixture
def later(believed: GlobalExplanation, operator: User) -> GlobalExplanation:
    """What a second revision believes: income counts most, and one feature is new."""
    revision = deployments.create_revision(deployment=believed.revision.deployment, by=operator)
    content = deepcopy(believed.content)
    for part in ("contributions", "permutation"):
        importance = content[part]["importance"]
        importance["features"] = [
            {"feature": name, "importance": size, "low": size, "high": size}
            for name, size in (("income", 2.0), ("children", 0.3))
        ]
        importance["ranking"] = ["income", "children"]
    [curve] = content["curves"]["curves"]
    curve["grid"] = [x + 30 for x in curve["grid"]]
    curve["average"] = [y / 2 for y in curve["average"]]
    now = timezone.now()
    return GlobalExplanation.objects.create(
        revision=revision, state="done", state_at=now, made_at=now, content=content
    )


@pytest.fixture
def client(reviewer: User, client_for: Any) -> Client:
    return client_for(reviewer)


def test_features_of_both_stand_on_one_axis(
    believed: GlobalExplanation, later: GlobalExplanation
) -> None:
    mine, other = beliefs_of(believed.revision), beliefs_of(later.revision)
    chart = comparison.chart_of(mine, other, "contributions")
    labels = [label for label, *_ in chart.rows]
    assert labels == ["Town", "Age", "income", "children"]
    assert [bool(a) and bool(b) for _, a, b in chart.rows] == [False, False, True, False]
    assert chart.scale.low <= 0 < 2.0 < chart.scale.high
    heads, rows = chart.table()
    assert (heads[1], heads[4]) == ("r1, mean size in log-odds", "r2, mean size in log-odds")
    assert rows[2][1:] == [0.1, 0.05, 0.2, 2.0, 2.0, 2.0]


def test_curves_with_other_grids_share_both_axes(
    believed: GlobalExplanation, later: GlobalExplanation
) -> None:
    mine, other = beliefs_of(believed.revision), beliefs_of(later.revision)
    [alone], [curve] = mine.curves, comparison.beside(mine, other)
    assert curve.across.low == alone.across.low
    assert curve.across.high == pytest.approx(alone.across.high + 30)
    assert curve.scale.low < alone.scale.low
    heads, rows = curve.table()
    assert heads == ["Age", "r1", "r2"]
    assert [row[2] for row in rows].count(None) > 0
    assert sum(row[1] is not None for row in rows) == len(alone.grid)


def test_each_class_of_a_feature_keeps_its_own_curve(
    believed: GlobalExplanation, later: GlobalExplanation
) -> None:
    for made, factor in ((believed, 0.1), (later, 0.2)):
        curves = made.content["curves"]["curves"]
        curves.append(curves[0] | {"average": [factor * y for y in curves[0]["average"]]})
        made.save()
    mine, other = beliefs_of(believed.revision), beliefs_of(later.revision)
    second = comparison.chart_of(mine, other, "curve-1")
    [(_, twin)] = second.twins
    assert (second.average, twin.average) == (mine.curves[1].average, other.curves[1].average)
    assert comparison.chart_of(mine, None, "curve-1") == mine.curves[1]


def test_other_units_have_axes_of_their_own(
    believed: GlobalExplanation, later: GlobalExplanation, client: Client
) -> None:
    later.content["contributions"]["unit"] = "probability"
    later.save()
    mine, other = beliefs_of(believed.revision), beliefs_of(later.revision)
    [(_, chart, twin), (_, both, none)] = comparison.rankings_of(mine, other)
    assert (chart.unit, twin.unit) == ("mean size in log-odds", "mean size in probability")
    assert (both.is_paired, none) == (True, None)
    page = client.get(f"{TAB}?revision=1&other=2").content.decode()
    assert "measured in different units" in page


def test_any_two_that_were_computed_can_be_chosen(
    believed: GlobalExplanation, later: GlobalExplanation, client: Client, operator: User
) -> None:
    deployments.create_revision(deployment=believed.revision.deployment, by=operator)
    page = client.get(f"{TAB}?revision=2&other=1").content.decode()
    assert '<option value="3" disabled>r3, not computed</option>' in page
    assert "average of r2" in page
    assert "average of r1" in page
    unknown = client.get(f"{TAB}?revision=2&other=3").content.decode()
    assert "average of r1" not in unknown
    for kind in ("png", "csv"):
        for chart in ("contributions", "permutation", "curve-0", "interactions"):
            answer = client.get(f"{TAB}r2/{chart}.{kind}?other=1")
            assert answer.status_code == 200
    table = client.get(f"{TAB}r2/permutation.csv?other=1")
    assert "r2-and-r1" in table["Content-Disposition"]
    assert b"r1, rise of the log loss" in table.content

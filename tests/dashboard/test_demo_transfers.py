"""The demo's transaction monitoring: made-up transfers, a model of them, its reasons and rules."""

import json
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xgboost
from sklearn.metrics import roc_auc_score

from apps.dashboard.demo_models import TRANSACTIONS
from apps.dashboard.replay import cases
from apps.serving.explainers.base import Background, Budget
from apps.serving.explainers.reason_codes import ReasonCodes
from apps.serving.explainers.subject import subject_of
from apps.serving.loaders.xgboost_model import XGBoostModel
from apps.serving.spec import ServerSpec
from fixtures import train_transactions, transactions
from fixtures.measured import score

FOLDER = Path(__file__).resolve().parents[2] / "fixtures"


def read(name: str) -> Any:
    return json.loads((FOLDER / name).read_text())


@cache
def trained() -> tuple[dict[str, Any], pd.DataFrame, list[dict[str, Any]]]:
    """Metadata, held-out transfers, and what reason codes answer to 200 of them."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        train_transactions.write(folder)
        metadata = json.loads((folder / "metadata.json").read_text())
        held_out = pd.read_csv(folder / "holdout.csv").head(200)
        booster = xgboost.Booster(model_file=folder / "model.ubj")
    model = XGBoostModel(booster, ServerSpec("m", "xgboost", "ubj", "", metadata))
    subject = subject_of(model, metadata)
    settings = {
        "catalogue": read("transaction_reasons.json"),
        "rules": read("transaction_rules.json"),
        "adverse": "suspicious",
    }
    explainer = ReasonCodes(subject, settings, 0)
    rows = held_out.drop(columns="outcome")
    explainer.fit(Background.of(subject.table(rows)))
    return metadata, held_out, explainer.explain(rows.to_dict("records"), Budget(60))


def fired(rule: str) -> np.ndarray:
    """Which of the held-out transfers a rule fired on."""
    found = [
        each["fired"] for told in trained()[2] for each in told["rules"] if each["rule"] == rule
    ]
    return np.array(found)


def test_the_same_seed_makes_the_same_transfers() -> None:
    first, again, other = (transactions.made(50, seed) for seed in (1, 1, 2))
    assert first.equals(again)
    assert not first.equals(other)


def test_the_outcome_follows_the_stated_rule() -> None:
    rows = transactions.made(4000, 3)
    odds, suspicious = transactions.log_odds(rows), rows["outcome"] == "suspicious"
    certain = odds > 2
    assert suspicious[certain].mean() > 0.75
    assert suspicious[odds < -3.5].mean() < 0.08
    assert 0.08 < suspicious.mean() < 0.18


def test_the_score_of_a_ranking_is_that_of_scikit_learn() -> None:
    random = np.random.default_rng(0)
    actual = random.integers(0, 2, 300)
    risk = (actual + random.normal(size=300)).round(1)
    found = score(actual, risk, 1)
    assert found.auc == pytest.approx(roc_auc_score(actual, risk), abs=1e-12)
    assert found.low < found.auc < found.high


def test_the_model_ranks_held_out_transfers_nearly_as_the_rule_does() -> None:
    _, held_out, told = trained()
    suspicious = held_out["outcome"] == "suspicious"
    model = roc_auc_score(suspicious, [answer["prediction"] for answer in told])
    rule = roc_auc_score(suspicious, transactions.log_odds(held_out))
    assert 0.7 < model < rule + 0.05


def test_velocities_are_one_reason() -> None:
    given = [reason for answer in trained()[2] for reason in answer["reasons"]]
    [features] = {tuple(each["features"]) for each in given if each["code"] == "T03"}
    assert features == ("transfers_last_hour", "transfers_last_day", "amount_last_day")


def test_at_most_four_reasons_none_below_the_floor() -> None:
    for answer in trained()[2]:
        shares = [reason["share"] for reason in answer["reasons"]]
        assert len(shares) <= 4
        assert shares == sorted(shares, reverse=True)
        assert all(share >= 0.05 for share in shares)


def test_rules_fire_on_the_transfers_that_the_expert_named() -> None:
    rows = trained()[1]
    assert fired("large-amount").tolist() == (rows["amount"] >= 5000).tolist()
    assert fired("velocity").tolist() == (rows["transfers_last_hour"] >= 3).tolist()
    assert fired("high-risk-country").tolist() == (rows["country_pair_risk"] == "high").tolist()
    new = rows["new_beneficiary"] & (rows["amount"] >= 1000)
    assert fired("new-beneficiary").tolist() == new.tolist()
    assert fired("velocity").any()
    assert not fired("velocity").all()


def test_replayed_values_have_the_types_of_the_example(tmp_path: Path) -> None:
    metadata, held_out, _ = trained()
    (tmp_path / "transactions").mkdir()
    held_out.to_csv(tmp_path / "transactions" / "holdout.csv", index=False)
    deployment = TRANSACTIONS.replayed | {"exampleInput": metadata["exampleInput"]}
    sent = cases(deployment, tmp_path, 20)
    assert len(sent) == 20
    [example] = metadata["exampleInput"]["instances"]
    assert {name: type(value) for name, value in sent[0].items()} == {
        name: type(value) for name, value in example.items()
    }
    flags = [case["new_beneficiary"] for case in sent]
    assert flags == held_out["new_beneficiary"].head(20).tolist()
    assert set(flags) == {True, False}

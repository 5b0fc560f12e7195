"""Reasons are the adverse contributions in the catalogue's words; nothing unread is given."""

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import GradientBoostingClassifier

from apps.serving.errors import LoadError
from apps.serving.explainers import explainer_class
from apps.serving.explainers.reason_codes import Code, ReasonCodes, reasons
from apps.serving.explainers.rules import Condition, Rules
from tests.serving.cases import table, thirds
from tests.serving.explainers.subjects import (
    background,
    breast_cancer,
    budget,
    german,
    german_xgboost,
    house_prices,
    instances,
    sklearn_subject,
    steady,
    transactions,
)

SEED = 11


def catalogue(names: list[str], **together: list[str]) -> dict[str, Any]:
    """One code a feature, except for those that are listed together."""
    grouped = {name for group in together.values() for name in group}
    codes = [
        {"code": code, "text": f"Too much of {code}", "features": group}
        for code, group in together.items()
    ] + [
        {"code": f"R-{name}", "text": f"Your {name}", "features": [name]}
        for name in names
        if name not in grouped
    ]
    return {"version": "2026-11", "codes": codes}


def fitted(subject: Any, frame: pd.DataFrame, **settings: Any) -> ReasonCodes:
    settings.setdefault("catalogue", catalogue(list(subject.names)))
    explainer = ReasonCodes(subject, settings, SEED)
    explainer.fit(background(subject, frame))
    return explainer


def contributions(subject: Any, frame: pd.DataFrame, by: str, asked: Any) -> list[dict[str, float]]:
    explainer = explainer_class(by)(subject, {}, SEED)
    explainer.fit(background(subject, frame))
    return [
        {each["feature"]: each["contribution"] for each in answer["contributions"]}
        for answer in explainer.explain(asked, budget())
    ]


@pytest.mark.parametrize(("case", "by"), [(german, "shap.tree"), (german_xgboost, "shap.native")])
def test_reasons_are_the_greatest_adverse_contributions(case: Any, by: str) -> None:
    subject, reference, rest = case()
    asked = instances(rest)[:10]
    answers = fitted(subject, reference).explain(asked, budget())
    for answer, shares in zip(answers, contributions(subject, reference, by, asked), strict=True):
        assert answer["by"] == by
        assert answer["catalogue"] == "2026-11"
        adverse = {name: value for name, value in shares.items() if value > 0}
        total = sum(adverse.values())
        ranked = sorted(adverse, key=lambda name: -adverse[name])
        kept = [name for name in ranked if adverse[name] / total >= 0.05][:4]
        assert [reason["features"] for reason in answer["reasons"]] == [[name] for name in kept]
        for reason, name in zip(answer["reasons"], kept, strict=True):
            assert reason["code"] == f"R-{name}"
            assert reason["share"] == pytest.approx(adverse[name] / total)
        assert "contributions" not in answer
        assert answer["method"] == "reason_codes"
        assert answer["class"] == "bad"


def test_taking_the_reasons_away_moves_the_margin_more_than_taking_others() -> None:
    """The deletion test: a reason's feature is given the background's most common value."""
    subject, reference, rest = german_xgboost()
    asked = instances(rest)[:40]
    usual = reference.mode().iloc[0]
    falls, others = [], []
    random = np.random.default_rng(0)
    for row, answer in zip(asked, fitted(subject, reference).explain(asked, budget()), strict=True):
        named = [name for reason in answer["reasons"] for name in reason["features"]]
        if not named:
            continue
        other = random.choice([n for n in subject.names if n not in named], len(named), False)
        before, without, without_other = subject.scores(
            subject.frame(
                [row]
                + [
                    row | {n: getattr(usual[n], "item", lambda n=n: usual[n])() for n in names}
                    for names in (named, other.tolist())
                ]
            )
        )
        falls.append(before - without)
        others.append(before - without_other)
    assert np.mean(falls) > 3 * abs(np.mean(others))


def test_the_other_class_can_be_adverse() -> None:
    subject, reference, rest = german()
    asked = instances(rest)[:3]
    bad = contributions(subject, reference, "shap.tree", asked)
    answers = fitted(subject, reference, adverse="good").explain(asked, budget())
    for answer, shares in zip(answers, bad, strict=True):
        assert answer["class"] == "good"
        assert all(shares[reason["features"][0]] < 0 for reason in answer["reasons"])


def test_of_three_classes_the_adverse_one_must_be_named() -> None:
    frame = table(200)[["income", "age"]]
    model = GradientBoostingClassifier(n_estimators=5, random_state=0)
    subject = sklearn_subject(model.fit(frame, thirds(table(200))), {}, frame)
    with pytest.raises(LoadError, match="Say which class is adverse"):
        fitted(subject, frame)
    answers = fitted(subject, frame, adverse=0, by="shap.permutation").explain(
        instances(frame)[:5], budget()
    )
    assert {answer["class"] for answer in answers} == {0}
    assert all(answer["reasons"] for answer in answers if np.argmax(answer["output"]) == 0)


def test_lower_values_can_be_adverse() -> None:
    subject, reference, rest = house_prices()
    row = {"size": 40, "distance": 38.0, "noise": 0.0}
    (low,) = fitted(subject, reference, adverse="lower").explain([row], budget())
    assert {each["code"] for each in low["reasons"]} == {"R-size", "R-distance"}
    (high,) = fitted(subject, reference, adverse="higher").explain([row], budget())
    assert "R-size" not in {each["code"] for each in high["reasons"]}


def test_correlated_features_are_one_reason() -> None:
    subject, reference, rest = breast_cancer()
    sizes = ["worst radius", "worst perimeter", "worst area"]
    explainer = fitted(subject, reference, catalogue=catalogue(list(subject.names), SIZE=sizes))
    asked = instances(rest)[:20]
    shares = contributions(subject, reference, "shap.tree", asked)
    given = 0
    for answer, each in zip(explainer.explain(asked, budget()), shares, strict=True):
        for reason in answer["reasons"]:
            if reason["code"] == "SIZE":
                given += 1
                assert set(reason["features"]) == set(sizes)
                assert reason["contribution"] == pytest.approx(sum(each[name] for name in sizes))
    assert given


CODES = [Code(str(at), "", (at,)) for at in range(6)]


def test_at_most_four_none_below_the_floor_and_ties_in_feature_order() -> None:
    equal = reasons(np.array([1.0, 1.0, 1.0, 1.0, 1.0, 1.0]), CODES)
    assert [reason.code.code for reason in equal] == ["0", "1", "2", "3"]
    uneven = reasons(np.array([0.01, -5.0, 10.0, 0.5, 0.6, 0.0]), CODES)
    assert [reason.code.code for reason in uneven] == ["2", "4"]
    assert uneven[0].share == pytest.approx(10 / 11.11)
    assert reasons(np.array([-1.0] * 6), CODES) == []
    assert reasons(np.zeros(6), CODES) == []


def test_what_counts_against_each_other_in_a_group_cancels() -> None:
    codes = [Code("A", "", (0, 1)), Code("B", "", (2,))]
    found = reasons(np.array([3.0, -3.0, 1.0]), codes)
    assert [(reason.code.code, reason.share) for reason in found] == [("B", 1.0)]


def test_a_feature_without_a_code_is_refused_loudly() -> None:
    subject, _, _ = german()
    short = catalogue([name for name in subject.names if name not in ("age", "telephone")])
    with pytest.raises(LoadError, match="maps no code to 2 of the model's features: age, telep"):
        ReasonCodes(subject, {"catalogue": short}, SEED)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"catalogue": None}, "need a catalogue with a version"),
        ({"most": 5}, '"most" must be 1 to 4'),
        ({"floor": 1}, '"floor" must be a share'),
        ({"adverce": "bad"}, "has no setting adverce"),
    ],
)
def test_settings_that_make_no_sense_are_refused(change: dict[str, Any], words: str) -> None:
    subject, _, _ = german()
    settings = {"catalogue": catalogue(list(subject.names))} | change
    with pytest.raises(LoadError, match=words):
        ReasonCodes(subject, settings, SEED)


def test_a_catalogue_that_contradicts_itself_or_the_model_is_refused() -> None:
    subject, reference, _ = german()
    names = list(subject.names)
    twice = catalogue(names)
    twice["codes"].append({"code": "X", "text": "x", "features": ["age"]})
    with pytest.raises(LoadError, match="maps age to two codes"):
        ReasonCodes(subject, {"catalogue": twice}, SEED)
    other = catalogue([*names, "shoe_size"])
    with pytest.raises(LoadError, match="names shoe_size, which is no feature"):
        ReasonCodes(subject, {"catalogue": other}, SEED)
    with pytest.raises(LoadError, match="cannot give the contributions"):
        fitted(subject, reference, by="shap.linear")


@pytest.mark.parametrize("case", [german, german_xgboost])
def test_the_same_request_gives_the_same_bytes(case: Any) -> None:
    subject, reference, rest = case()
    asked = instances(rest)[:3]
    made = [
        json.dumps(steady(fitted(subject, reference).explain(asked, budget()))) for _ in range(2)
    ]
    assert made[0] == made[1]


RULES = [
    {
        "rule": "LARGE_ABROAD",
        "text": "A large amount to a listed country",
        "conditions": [
            {"feature": "amount", "op": ">", "value": 1000},
            {"feature": "country", "op": "in", "value": ["XX", "BE"]},
        ],
    },
    {
        "rule": "VELOCITY",
        "text": "Five payments within an hour",
        "conditions": [{"feature": "payments_last_hour", "op": ">=", "value": 5}],
    },
]


def test_rules_that_fired_stand_beside_the_reasons() -> None:
    subject, reference, _ = transactions()
    row = {"amount": 1500.0, "payments_last_hour": 4, "country": "XX", "new_payee": True}
    (answer,) = fitted(subject, reference, rules=RULES, adverse="alert").explain([row], budget())
    assert answer["reasons"]
    large, velocity = answer["rules"]
    assert large["fired"] is True
    assert large["value"] == {"amount": 1500.0, "country": "XX"}
    assert velocity == {
        "rule": "VELOCITY",
        "text": "Five payments within an hour",
        "fired": False,
        "value": {"payments_last_hour": 4},
    }


def test_rules_alone_need_no_background() -> None:
    subject, _, rest = transactions()
    explainer = Rules(subject, {"rules": RULES}, SEED)
    asked = instances(rest)[:200]
    answers = explainer.explain(asked, budget())
    for row, answer in zip(asked, answers, strict=True):
        large, velocity = (each["fired"] for each in answer["rules"])
        assert large == (row["amount"] > 1000 and row["country"] in ("XX", "BE"))
        assert velocity == (row["payments_last_hour"] >= 5)
        assert answer["method"] == "rules"
        assert answer["backgroundId"] is None
    assert any(each["fired"] for answer in answers for each in answer["rules"])


@pytest.mark.parametrize(
    ("op", "bound", "met", "unmet"),
    [
        ("<", 5, 4, 5),
        ("<=", 5, 5, 6),
        (">", 5, 6, 5),
        (">=", 5, 5, 4),
        ("=", "NL", "NL", "DE"),
        ("!=", "NL", "DE", "NL"),
        ("in", ["NL", "DE"], "DE", "BE"),
        ("not in", ["NL", "DE"], "BE", "DE"),
    ],
)
def test_conditions_compare_as_they_are_written(op: str, bound: Any, met: Any, unmet: Any) -> None:
    condition = Condition("x", op, bound)
    assert condition.met(met)
    assert not condition.met(unmet)
    assert not condition.met(None)


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        ({"feature": "amout", "op": ">", "value": 1}, "amout, which is no feature"),
        ({"feature": "amount", "op": "~", "value": 1}, "compares with ~"),
        ({"feature": "amount", "op": ">", "value": "1000"}, 'with "1000", no number'),
        ({"feature": "country", "op": ">", "value": 3}, "orders country"),
        ({"feature": "country", "op": "in", "value": "NL"}, "which needs a list"),
        ({"feature": "country", "op": "=", "value": ["NL"]}, "which needs one value"),
        ({"feature": "country", "op": "=", "value": "QQ"}, 'names "QQ", no category'),
        ({"feature": "amount", "op": ">"}, "needs feature, op and value"),
    ],
)
def test_rules_that_make_no_sense_are_refused(condition: dict[str, Any], words: str) -> None:
    subject, _, _ = transactions()
    rules = [{"rule": "R", "text": "t", "conditions": [condition]}]
    with pytest.raises(LoadError, match=words):
        Rules(subject, {"rules": rules}, SEED)


def test_rules_need_names_of_their_own() -> None:
    subject, _, _ = transactions()
    for rules, words in (
        ([RULES[0], RULES[0]], "Two rules are named LARGE_ABROAD"),
        ([{"conditions": []}], "Rule 1 needs a name"),
        ([{"rule": "R", "conditions": []}], "has no conditions"),
        (None, "must be a list of rules"),
    ):
        with pytest.raises(LoadError, match=words):
            Rules(subject, {"rules": rules}, SEED)

"""Explanations in the words that people know: labels, units, categories, sentences."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from apps.predictions.presentation import Fact, facts

METHODS = {
    "shap.native": "Native SHAP",
    "shap.tree": "Tree SHAP",
    "shap.interventional": "Interventional Tree SHAP",
    "shap.linear": "Linear SHAP",
    "shap.exact": "Exact Shapley values",
    "shap.permutation": "Permutation SHAP",
    "integrated_gradients": "Integrated gradients",
    "saliency": "Saliency",
    "occlusion": "Occlusion",
    "lime": "LIME",
    "anchors": "Anchors",
    "counterfactuals": "MACE counterfactuals",
    "partial_dependence": "Partial dependence",
    "reason_codes": "Reason codes",
    "rules": "Rules",
    "custom": "Own method",
}
_MOST_NAMED = 2
_OPS = {"<=": "is at most", ">": "is above", "<": "is below", ">=": "is at least"}


@dataclass(frozen=True, slots=True)
class Words:
    """What a model's metadata says of its features and classes."""

    metadata: dict[str, Any]

    def _fact(self, name: str, value: Any) -> Fact:
        features = self.metadata.get("features") or []
        known = [feature for feature in features if feature["name"] == name]
        return facts({name: value}, {"features": known})[0]

    def label(self, name: str) -> str:
        return self._fact(name, None).label

    def value(self, name: str, value: Any) -> str:
        """`36 months`, `below 0 DM`, `missing`."""
        fact = self._fact(name, value)
        return f"{fact.value}\u00a0{fact.unit}" if fact.unit and value is not None else fact.value

    def given(self, part: dict[str, Any]) -> str:
        """What the case has of a contribution's feature; empty where places have no names."""
        return self.value(part["feature"], part["value"]) if "value" in part else ""

    def kind(self, name: str) -> str:
        """The type that the metadata gives a feature."""
        features = self.metadata.get("features") or []
        return next((f.get("type", "any") for f in features if f["name"] == name), "any")

    def outcome(self, output: Any) -> str:
        """`good, 54 %`: what an answer of the model says."""
        classes = self.metadata.get("predictionClasses") or {}
        names = {str(value): str(name) for name, value in classes.items()}
        if isinstance(output, list) and output and all(isinstance(p, int | float) for p in output):
            at = max(range(len(output)), key=lambda i: output[i])
            return f"{names.get(str(at), str(at))}, {percent(output[at])}"
        if str(output) in names or isinstance(output, bool | str) or not isinstance(output, float):
            return names.get(str(output), str(output))
        return plain_number(output)


def method_words(method: str) -> str:
    return METHODS.get(method, method)


def percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.0f}\u00a0%"


def plain_number(value: float) -> str:
    """Three significant digits, thousands apart."""
    if value and abs(value) < 0.001:
        return f"{value:.1e}".replace("-", "−")
    decimals = 0 if abs(value) >= 100 or float(value).is_integer() else 2 if abs(value) >= 1 else 3
    return f"{value:,.{decimals}f}".replace("-", "−")


def signed(value: float) -> str:
    """`+0.92`, `−0.38`, with a true minus sign."""
    sign = "+" if value > 0 else "−" if value < 0 else ""
    decimals = 0 if abs(value) >= 1000 else 2 if abs(value) >= 0.1 or value == 0 else 3
    return f"{sign}{abs(value):,.{decimals}f}"


def cut(text: str, longest: int) -> str:
    """The text, or its beginning and `…` where it has more characters."""
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def joined(parts: Sequence[str], word: str = "and") -> str:
    """`a, b and c`."""
    return (
        f" {word} ".join([", ".join(parts[:-1]), parts[-1]]) if len(parts) > 1 else "".join(parts)
    )


def weighed_most(content: dict[str, Any], words: Words) -> str:
    """Which features counted most, for and against, in one sentence; empty where none did."""
    parts = sorted(content["contributions"], key=lambda part: -abs(part["contribution"]))
    up = [part for part in parts if part["contribution"] > 0][:_MOST_NAMED]
    down = [part for part in parts if part["contribution"] < 0][:_MOST_NAMED]
    towards = f"towards {content['class']}" if content["class"] is not None else "the value up"
    against = "against it" if content["class"] is not None else "it down"
    if not up and not down:
        return "No feature moved the answer from where the model starts."
    if not down:
        return f"{_named(up, words)} {_pushed(up)} most {towards}; nothing speaks against it."
    if not up:
        away = f"away from {content['class']}" if content["class"] is not None else "the value down"
        return f"{_named(down, words)} {_pushed(down)} most {away}."
    first = f"{_named(up, words)} {_pushed(up)} most {towards}"
    return f"{first}; {_named(down, words)} {_pushed(down)} most {against}."


def _named(parts: list[dict[str, Any]], words: Words) -> str:
    return joined([_with_value(part, words) for part in parts])


def _with_value(part: dict[str, Any], words: Words) -> str:
    label, value = words.label(part["feature"]), words.given(part)
    return f"{label} ({value})" if value else label


def _pushed(parts: list[Any]) -> str:
    return "pushes" if len(parts) == 1 else "push"


def rule_sentence(content: dict[str, Any], words: Words) -> str:
    """An anchor as a sentence, or that there is none."""
    rule = content["rule"]
    wanted = percent(content.get("fidelity", {}).get("threshold"))
    kept = _kept(rule, content)
    if not rule["found"]:
        return (
            f"No rule found: no values of this case alone keep {kept} in {wanted} of the "
            "reference rows."
        )
    if not rule["conditions"]:
        return f"Whatever the features are, {kept} stays: it covers every reference row."
    conditions = joined([_condition(each, words) for each in rule["conditions"]])
    bound = percent(rule["precisionLowerBound"])
    return f"As long as {conditions}, {kept} stays in at least {bound} of cases."


def _kept(rule: dict[str, Any], content: dict[str, Any]) -> str:
    keeps = rule.get("keeps") or {"class": content.get("class")}
    if "class" in keeps:
        return f"the answer {keeps['class']}"
    return f"a value from {plain_number(keeps['from'])} to {plain_number(keeps['to'])}"


def _condition(each: dict[str, Any], words: Words) -> str:
    name, value = each["feature"], each["value"]
    if each["op"] == "in" or isinstance(value, list):
        shown = joined([words.value(name, one) for one in value], "or")
    else:
        shown = words.value(name, value)
    return f"{words.label(name)} {_OPS.get(each['op'], 'is')} {shown}"


@dataclass(frozen=True, slots=True)
class Change:
    """One line of a counterfactual."""

    name: str
    label: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Alternative:
    """A case that the model answers otherwise; `changed` holds what to fill into the Try form."""

    changes: tuple[Change, ...]
    then: str
    changed: tuple[tuple[str, str], ...]


def alternatives(content: dict[str, Any], words: Words) -> list[Alternative]:
    """The counterfactuals of an answer, the least changed first as they are given."""
    return [_alternative(found, words) for found in content["counterfactuals"]]


def _alternative(found: dict[str, Any], words: Words) -> Alternative:
    changes = tuple(
        Change(
            each["feature"],
            words.label(each["feature"]),
            words.value(each["feature"], each["from"]),
            words.value(each["feature"], each["to"]),
        )
        for each in found["changes"]
    )
    changed = tuple((each["feature"], _text(each["to"])) for each in found["changes"])
    return Alternative(changes, words.outcome(found["output"]), changed)


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value)


def fidelity_words(content: dict[str, Any]) -> str:
    """How far the explanation may be trusted, in a few words."""
    found = content.get("fidelity") or {}
    if _is_number(found.get("localR2")):
        return f"local fit R² {found['localR2']:.2f}"
    if _is_number(found.get("additivityError")):
        return f"the parts add up to the prediction (error {found['additivityError']:.0e})"
    if "standardError" in found and content["method"] != "custom":
        return f"standard error {plain_number(_largest(found['standardError']))}"
    if "patches" in found:
        side = f"{found['patch']} by {found['patch']}"
        return f"{found['patches']:,} patches of {side} covered, one after the other"
    if content["method"] == "counterfactuals":
        return "each asked of the model again"
    return ""


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _largest(value: Any) -> float:
    return max(map(float, value)) if isinstance(value, list) else float(value)

"""What a queue takes in and says, in words for people. Pure functions."""

from typing import Any

from apps.feedback.review.subjects import Model
from apps.predictions.presentation import facts

KINDS = {
    "class": "by the class",
    "confidence": "by a low probability",
    "output": "by the predicted number",
    "amount": "by a feature's number",
    "group": "by a feature's value",
    "range": "outside what training saw",
    "uncertain": "uncertain",
    "new": "unlike the training data",
    "request": "asked for",
    "audit": "drawn at random",
}


def percent(share: float) -> str:
    """`99.5 %`, `2 %`: one decimal where there is one, with a no-break space."""
    return f"{100 * share:.1f}".removesuffix(".0") + "\u00a0%"


def rule_words(rule: dict[str, Any], model: Model) -> str:
    """`Income is at least 900 EUR`: what a rule takes."""
    kind = rule["kind"]
    if kind == "class":
        return f"the model says {_either(rule['classes'])}"
    if kind == "confidence":
        return f"the probability of the class is below {100 * rule['below']:g}\u00a0%"
    if kind == "output":
        return f"the predicted number is {_bounds(rule, '')}"
    if kind == "range":
        names = [model.label(name) for name in rule["features"]]
        return f"{_either(names) if names else 'any input'} lies outside what training saw"
    label = model.label(rule["feature"])
    if kind == "amount":
        unit = str(model.features.get(rule["feature"], {}).get("unit") or "")
        return f"{label} is {_bounds(rule, unit)}"
    return f"{label} is {_either([value_words(rule['feature'], v, model) for v in rule['values']])}"


def value_words(name: str, value: Any, model: Model) -> str:
    """A feature's value as people know it: the label of a code."""
    return facts({name: value}, model.metadata)[0].value


def _bounds(rule: dict[str, Any], unit: str) -> str:
    least, most = (
        None if rule[key] is None else f"{rule[key]:,.6g}{' ' * bool(unit)}{unit}"
        for key in ("least", "most")
    )
    if least and most:
        return f"between {least} and {most}"
    return f"at least {least}" if least else f"at most {most}"


def _either(words: list[str]) -> str:
    return " or ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)

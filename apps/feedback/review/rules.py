"""Rules by which a prediction enters a queue whatever the draw: checked, and applied.

A rule is an object with a `kind`:

    class       {"classes": ["bad"]}                          the predicted class is one of them
    confidence  {"below": 0.7}                                its probability is lower
    output      {"least": 10000, "most": null}                the predicted number lies within
    amount      {"feature": "income", "least": …, "most": …}  a feature's number lies within
    group       {"feature": "city", "values": ["Urk"]}        a feature has one of the values
    range       {"features": []}                              a feature, of these or any, lies
                                                              outside what training saw
"""

from collections.abc import Callable, Sequence
from typing import Any

from apps.feedback.review.subjects import Model, Subject, as_number
from apps.feedback.review.texts import keepable
from apps.predictions.presentation import facts

MOST_RULES = 20
_MOST_VALUES = 100
_LONGEST = 200
_SHOWN = 8

Rule = dict[str, Any]
Applied = Callable[[Subject], str | None]


class Fault(ValueError):
    """What is wrong with a rule: in which of its fields, in words."""

    def __init__(self, field: str, text: str) -> None:
        super().__init__(text)
        self.field = field


def checked(given: Any, model: Model) -> tuple[list[Rule], list[dict[str, str]]]:
    """The rules in their plain form, and the faults with their paths."""
    if not isinstance(given, list):
        return [], [_error("rules", "Rules are a list.")]
    if len(given) > MOST_RULES:
        text = f"A queue has at most {MOST_RULES} rules; there are {len(given):,}."
        return [], [_error("rules", text)]
    rules, errors = [], []
    for index, rule in enumerate(given):
        try:
            rules.append(_checked(rule, model))
        except Fault as fault:
            path = ".".join(part for part in (f"rules[{index}]", fault.field) if part)
            errors.append(_error(path, str(fault)))
    return rules, errors


def applied(rules: Sequence[Rule], model: Model) -> list[tuple[str, Applied]]:
    """Each rule's kind, and the function that gives its words for a subject that it takes."""
    return [(rule["kind"], _APPLIED[rule["kind"]](rule, model)) for rule in rules]


def _checked(rule: Any, model: Model) -> Rule:
    kinds = ", ".join(_CHECKED)
    if not isinstance(rule, dict):
        raise Fault("", f"A rule is an object with a kind, one of {kinds}.")
    kind = rule.get("kind")
    if not isinstance(kind, str) or kind not in _CHECKED:
        raise Fault("kind", f"Say one of {kinds}.")
    return {"kind": kind} | _CHECKED[kind](rule, model)


def _check_class(rule: Rule, model: Model) -> Rule:
    if model.gives_numbers:
        raise Fault("kind", "This model predicts numbers; use a rule on the output.")
    classes = _texts(rule, "classes")
    strange = next((each for each in classes if model.classes and each not in model.classes), None)
    if strange is not None:
        known = ", ".join(model.classes[:_SHOWN])
        raise Fault("classes", f"{strange} is no class of this model; its classes are {known}.")
    return {"classes": classes}


def _check_confidence(rule: Rule, model: Model) -> Rule:
    if not model.gives_probabilities:
        raise Fault("kind", "This model gives no probabilities, so none can be low.")
    below = as_number(rule.get("below"))
    if below is None or not 0 < below <= 1:
        raise Fault("below", "Give a probability above 0 and at most 1.")
    return {"below": below}


def _check_output(rule: Rule, model: Model) -> Rule:
    if not model.gives_numbers:
        raise Fault("kind", "This model predicts classes; use a rule on the class.")
    return _bounds(rule)


def _check_amount(rule: Rule, model: Model) -> Rule:
    name = _feature(rule.get("feature"), "feature", model)
    if model.features.get(name, {}).get("type") in ("category", "text", "boolean"):
        raise Fault("feature", f"{model.label(name)} is no number; use a rule on the group.")
    return {"feature": name} | _bounds(rule)


def _check_group(rule: Rule, model: Model) -> Rule:
    name = _feature(rule.get("feature"), "feature", model)
    values = _texts(rule, "values")
    known = [str(each) for each in model.features.get(name, {}).get("categories") or []]
    strange = next((each for each in values if known and each not in known), None)
    if strange is not None:
        shown = ", ".join(known[:_SHOWN]) + (", …" if len(known) > _SHOWN else "")
        raise Fault("values", f"{model.label(name)} is never {strange}; it is one of {shown}.")
    return {"feature": name, "values": values}


def _check_range(rule: Rule, model: Model) -> Rule:
    given = rule.get("features", [])
    if not isinstance(given, list):
        raise Fault("features", "Give a list of features, empty for all.")
    return {"features": [_feature(each, "features", model) for each in given]}


def _bounds(rule: Rule) -> Rule:
    found: Rule = {}
    for key in ("least", "most"):
        given = rule.get(key)
        found[key] = as_number(given)
        if given not in (None, "") and found[key] is None:
            raise Fault(key, f"{str(given)[:60]} is no number.")
    if found["least"] is None and found["most"] is None:
        raise Fault("least", "Give the least value, the most, or both.")
    if None not in found.values() and found["least"] > found["most"]:
        raise Fault("most", "The most is smaller than the least.")
    return found


def _feature(name: Any, field: str, model: Model) -> str:
    if not isinstance(name, str) or name not in model.features:
        known = ", ".join(list(model.features)[:_SHOWN])
        more = ", …" if len(model.features) > _SHOWN else ""
        listed = f"its features are {known}{more}" if known else "its metadata names none"
        raise Fault(field, f"{str(name)[:60]!r} is no feature of this model; {listed}.")
    return name


def _texts(rule: Rule, key: str) -> list[str]:
    given = rule.get(key)
    if not isinstance(given, list) or not given:
        raise Fault(key, "Give a list with at least one value.")
    if len(given) > _MOST_VALUES:
        raise Fault(key, f"Give at most {_MOST_VALUES} values.")
    if any(each is None or isinstance(each, list | dict) for each in given):
        raise Fault(key, "Values are texts, numbers, true or false.")
    texts = [str(each) for each in given]
    if any(len(each) > _LONGEST or not keepable(each) for each in texts):
        raise Fault(key, f"A value has at most {_LONGEST} characters, all of them valid Unicode.")
    return list(dict.fromkeys(texts))


def _apply_class(rule: Rule, model: Model) -> Applied:
    wanted = set(rule["classes"])
    return lambda each: f"The model says {each.outcome}" if each.outcome in wanted else None


def _apply_confidence(rule: Rule, model: Model) -> Applied:
    below = rule["below"]

    def words(each: Subject) -> str | None:
        if each.score is None or each.score >= below:
            return None
        return f"Its probability is {each.score:.2f}, below {below:g}"

    return words


def _apply_output(rule: Rule, model: Model) -> Applied:
    def words(each: Subject) -> str | None:
        text = _within(each.number, rule)
        return f"The model predicts {each.number:,.6g}, {text}" if text else None

    return words


def _apply_amount(rule: Rule, model: Model) -> Applied:
    name = rule["feature"]

    def words(each: Subject) -> str | None:
        value = each.values.get(name)
        text = _within(as_number(value), rule)
        return f"{model.words(name, value)}, {text}" if text else None

    return words


def _apply_group(rule: Rule, model: Model) -> Applied:
    name, wanted = rule["feature"], set(rule["values"])

    def words(each: Subject) -> str | None:
        value = each.values.get(name)
        return model.words(name, value) if value is not None and str(value) in wanted else None

    return words


def _apply_range(rule: Rule, model: Model) -> Applied:
    names = [name for name in rule["features"] or model.features if _limits(model, name)]

    def words(each: Subject) -> str | None:
        found = [text for name in names if (text := _outside(model, name, each.values.get(name)))]
        return ", ".join(found) or None

    return words


def _limits(model: Model, name: str) -> bool:
    feature = model.features.get(name, {})
    return bool(feature.get("categories")) or any(
        feature.get(key) is not None for key in ("observedMin", "observedMax")
    )


def _outside(model: Model, name: str, value: Any) -> str | None:
    """In words, where a value is none that training saw; a missing one says nothing."""
    if value is None:
        return None
    feature = model.features[name]
    if feature.get("categories"):
        is_new = str(value) not in {str(each) for each in feature["categories"]}
        return f"{model.words(name, value)}, which training never saw" if is_new else None
    number, low, high = map(
        as_number, (value, feature.get("observedMin"), feature.get("observedMax"))
    )
    if number is None or not (_below(number, low) or _below(high, number)):
        return None
    [fact] = facts({name: value}, model.metadata)
    beyond = fact.range or "what training saw"
    return f"{model.words(name, value)}, outside {beyond}"


def _below(one: float | None, other: float | None) -> bool:
    return one is not None and other is not None and one < other


def _within(value: float | None, rule: Rule) -> str:
    """In words which bound let it in; empty where none did."""
    least, most = rule["least"], rule["most"]
    if value is None or (least is not None and value < least):
        return ""
    if most is not None and value > most:
        return ""
    if least is not None and most is not None:
        return f"between {least:,.6g} and {most:,.6g}"
    return f"at least {least:,.6g}" if least is not None else f"at most {most:,.6g}"


def _error(field: str, message: str) -> dict[str, str]:
    return {"field": field, "message": message}


_CHECKED: dict[str, Callable[[Rule, Model], Rule]] = {
    "class": _check_class,
    "confidence": _check_confidence,
    "output": _check_output,
    "amount": _check_amount,
    "group": _check_group,
    "range": _check_range,
}
_APPLIED: dict[str, Callable[[Rule, Model], Applied]] = {
    "class": _apply_class,
    "confidence": _apply_confidence,
    "output": _apply_output,
    "amount": _apply_amount,
    "group": _apply_group,
    "range": _apply_range,
}

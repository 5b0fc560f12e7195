"""One explanation of one case, with what its pictures and sentences are made from."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from apps.explanations import drawing
from apps.explanations.drawing import Curve, HeatMap, Waterfall
from apps.explanations.said import lines_of
from apps.explanations.words import (
    Alternative,
    Words,
    alternatives,
    fidelity_words,
    method_words,
    rule_sentence,
    weighed_most,
)

_MOST_CURVES = 6


@dataclass(frozen=True, slots=True)
class Told:
    """One explanation of a prediction. `key` names it in addresses; `later_by` says which
    revision made it where it was not made with the prediction; `given` is the whole instance, of
    which `case` is what has names."""

    key: str
    content: dict[str, Any]
    words: Words
    case: dict[str, Any]
    at: datetime
    later_by: str = ""
    given: Any = None

    @property
    def name(self) -> str:
        return str(self.content.get("name") or self.content["method"])

    @property
    def method(self) -> str:
        return method_words(self.content["method"])

    @property
    def fidelity(self) -> str:
        return fidelity_words(self.content)

    def has(self, what: str) -> bool:
        return self.content.get(what) is not None

    @property
    def waterfall(self) -> Waterfall:
        return drawing.waterfall(self.content, self.words)

    @property
    def sentence(self) -> str:
        return weighed_most(self.content, self.words)

    @property
    def rule(self) -> str:
        return rule_sentence(self.content, self.words)

    @property
    def alternatives(self) -> list[Alternative]:
        return alternatives(self.content, self.words)

    @property
    def curves(self) -> list[Curve]:
        return drawing.curves(self.content, self.words, self.case)[:_MOST_CURVES]

    @property
    def heat(self) -> HeatMap | None:
        return drawing.heat_map(self.content, self.given)

    @property
    def said(self) -> list[tuple[str, str]]:
        """What an image answered in a shape of its own, value by value."""
        return lines_of(self.content["said"], self.words)

    @property
    def reasons(self) -> list[dict[str, Any]]:
        """The reason codes with what the case has of each."""
        return [
            reason | {"facts": [self._fact(name) for name in reason["features"]]}
            for reason in self.content["reasons"]
        ]

    @property
    def rules(self) -> list[dict[str, Any]]:
        """An expert's rules with the values that they looked at."""
        return [
            rule
            | {
                "facts": [
                    f"{self.words.label(name)}: {self.words.value(name, value)}"
                    for name, value in rule["value"].items()
                ]
            }
            for rule in self.content.get("rules") or []
        ]

    def _fact(self, name: str) -> str:
        return f"{self.words.label(name)}: {self.words.value(name, self.case.get(name))}"

    def chart(self, name: str) -> Any:
        """The chart of a name in an address, None where there is none."""
        if name == "parts" and self.has("contributions"):
            return self.waterfall
        if name == "heat" and self.has("picture"):
            return self.heat
        if name.startswith("curve-") and self.has("curves"):
            at = name.removeprefix("curve-")
            found = self.curves
            return found[int(at)] if at.isdigit() and int(at) < len(found) else None
        return None


def case_of(given: Any, words: Words) -> dict[str, Any]:
    """What the model was given, by feature."""
    if isinstance(given, list):
        names = [feature["name"] for feature in words.metadata.get("features") or []]
        given = dict(zip(names, given, strict=False))
    return given if isinstance(given, dict) else {}

"""What the pages show of the explanations of one prediction."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from apps.deployments.services import model_of
from apps.explanations import drawing
from apps.explanations.drawing import Curve, Waterfall
from apps.explanations.words import (
    Alternative,
    Words,
    alternatives,
    fidelity_words,
    method_words,
    rule_sentence,
    weighed_most,
)
from apps.predictions.models import PredictionRecord

RECORDED = "recorded"
_MOST_CURVES = 6


@dataclass(frozen=True, slots=True)
class Told:
    """One explanation of a prediction. `key` names it in addresses; `later_by` says which
    revision made it where it was not made with the prediction."""

    key: str
    content: dict[str, Any]
    words: Words
    case: dict[str, Any]
    at: datetime
    later_by: str = ""

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
        if name.startswith("curve-") and self.has("curves"):
            at = name.removeprefix("curve-")
            found = self.curves
            return found[int(at)] if at.isdigit() and int(at) < len(found) else None
        return None


@dataclass(frozen=True, slots=True)
class Panel:
    """The explanations of a prediction by what they say."""

    told: tuple[Told, ...]

    def _with(self, what: str) -> list[Told]:
        return [each for each in self.told if each.has(what)]

    @property
    def contributions(self) -> list[Told]:
        """SHAP before LIME, as methods that add up exactly come first."""
        return sorted(
            self._with("contributions"), key=lambda told: told.content["method"] == "lime"
        )

    @property
    def lead(self) -> str:
        """What counted most, in a sentence."""
        return self.contributions[0].sentence if self.contributions else ""

    @property
    def anchors(self) -> list[Told]:
        return self._with("rule")

    @property
    def counterfactuals(self) -> list[Told]:
        return self._with("counterfactuals")

    @property
    def reasons(self) -> list[Told]:
        return self._with("reasons")

    @property
    def curves(self) -> list[Told]:
        return self._with("curves")


def panel_of(record: PredictionRecord, later: Sequence[Any] = ()) -> Panel:
    """All explanations of a prediction; a later one takes the place of one of the same name."""
    assert record.revision is not None
    words = Words(model_of(record.revision).metadata)
    given = record.input_value if record.model_input is None else record.model_input_value
    case = case_of(given, words)
    found: dict[str, Told] = {}
    for number, content in enumerate(record.explanation_values):
        told = Told(f"{RECORDED}-{number}", content, words, case, record.at)
        found[told.name] = told
    for each in later:
        content = {"name": each.name} | each.content
        told = Told(str(each.id), content, words, case, each.at, str(each.revision))
        found[told.name] = told
    return Panel(tuple(found.values()))


def case_of(given: Any, words: Words) -> dict[str, Any]:
    """What the model was given, by feature."""
    if isinstance(given, list):
        names = [feature["name"] for feature in words.metadata.get("features") or []]
        given = dict(zip(names, given, strict=False))
    return given if isinstance(given, dict) else {}

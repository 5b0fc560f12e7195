"""What the pages show of the explanations of one prediction."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from apps.deployments.services import model_of
from apps.explanations.told import Told, case_of
from apps.explanations.words import Words
from apps.predictions.models import PredictionRecord

RECORDED = "recorded"


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

    @property
    def pictures(self) -> list[Told]:
        return self._with("picture")

    @property
    def others(self) -> list[Told]:
        """What came in a shape of its own."""
        return self._with("said")


def panel_of(record: PredictionRecord, later: Sequence[Any] = ()) -> Panel:
    """All explanations of a prediction; a later one takes the place of one of the same name."""
    assert record.revision is not None
    words = Words(model_of(record.revision).metadata)
    given = record.input_value if record.model_input is None else record.model_input_value
    case = case_of(given, words)
    found: dict[str, Told] = {}
    for number, content in enumerate(record.explanation_values):
        told = Told(f"{RECORDED}-{number}", content, words, case, record.at, given=given)
        found[told.name] = told
    for each in later:
        content = {"name": each.name} | each.content
        told = Told(str(each.id), content, words, case, each.at, str(each.revision), given)
        found[told.name] = told
    return Panel(tuple(found.values()))

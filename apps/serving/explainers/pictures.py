"""What methods share that explain tensors: a share of the score for every place of the input."""

from typing import Any, ClassVar

import numpy as np

from apps.serving.explainers.base import Background, Budget, answer
from apps.serving.explainers.contributions import read_settings
from apps.serving.explainers.scored import scored_as_given
from apps.serving.explainers.subject import Subject


class PictureExplainer:
    """One value per place of the input: a picture, or contributions where places are features."""

    method: ClassVar[str]
    defaults: ClassVar[dict[str, Any]] = {}

    def __init__(self, subject: Subject, settings: dict[str, Any], seed: int) -> None:
        self.settings = read_settings(settings, self.defaults | {"class": None}, self.method)
        wanted = self.settings["class"]
        self.subject = subject if wanted is None else subject.towards(subject.index_of(wanted))
        self.seed = seed
        self.background: Background | None = None

    def fit(self, background: Background | None) -> None:
        self.background = background

    def explain(self, instances: list[Any], budget: Budget) -> list[dict[str, Any]]:
        """One answer per instance, all or none."""
        budget.spend(len(instances))
        answers = []
        rows = scored_as_given(self.subject, instances)
        for instance, row in zip(instances, rows, strict=True):
            values, base, fidelity = self.values(row.subject, instance, budget)
            budget.check()
            answers.append(
                answer(
                    self,
                    row.subject,
                    prediction=row.score,
                    output=row.output,
                    base_value=base,
                    background=self.background,
                    fidelity=fidelity,
                    budget=budget,
                    **self._content(row.subject, instance, values),
                )
            )
        return answers

    def values(
        self, subject: Any, instance: Any, budget: Budget
    ) -> tuple[np.ndarray, float | None, dict[str, Any]]:
        """The values in the input's shape, the base value if there is one, and the fidelity."""
        raise NotImplementedError

    def _content(self, subject: Subject, instance: Any, values: np.ndarray) -> dict[str, Any]:
        if not subject.features:
            return {"picture": {"shape": list(values.shape), "values": values.tolist()}}
        given = instance.values() if isinstance(instance, dict) else instance
        if isinstance(instance, dict):
            given = [instance[name] for name in subject.names]
        return {
            "contributions": [
                {"feature": name, "value": value, "contribution": float(share)}
                for name, value, share in zip(subject.names, given, values.ravel(), strict=True)
            ]
        }

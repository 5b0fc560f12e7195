"""An explainer of the owner's own: a Python module with `explain(instances, predict)`.

`instances` are as a client sends them, `predict` gives the model's answers to a list of such. It
returns one object per instance with one of `contributions`, `rule`, `counterfactuals`, `curves`,
`reasons` or `picture` in the shape that all methods have, and `baseValue` or `fidelity` where it
has them. What does not fit is refused, so that nothing malformed is stored or drawn.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from apps.serving.errors import LoadError, ModelFailure, ServingError
from apps.serving.explainers.base import Background, Budget, answer, plain
from apps.serving.explainers.checks import check, described
from apps.serving.explainers.tabular import said
from apps.serving.loaders.base import first_line
from apps.serving.modules import imported

_PACKAGES = "name it in the requirements.txt of the model version"


class Custom:
    """Loads the module when it is made, and checks what its `explain` returns."""

    method = "custom"

    def __init__(self, subject: Any, settings: dict[str, Any], seed: int) -> None:
        strange = sorted(set(settings) - {"module"})
        if strange:
            raise LoadError(f"custom has no setting {strange[0]}; it has module")
        self.subject, self.seed = subject, seed
        self.explains = _explain_of(settings.get("module"))
        self.background: Background | None = None

    @classmethod
    def suits(cls, subject: Any, background: Background | None) -> str:
        return "" if subject.features else "The model takes tensors, not features that have names"

    def fit(self, background: Background) -> None:
        self.background = background

    def explain(self, instances: list[Any], budget: Budget) -> list[dict[str, Any]]:
        frame = self.subject.frame(instances)
        made = self._made(instances, frame, budget)
        budget.check()
        found: dict[int, dict[str, Any]] = {}
        for subject, positions in self.subject.by_target(frame):
            budget.spend(len(positions))
            told = said(subject, frame.iloc[positions].reset_index(drop=True))
            for place, at in enumerate(positions.tolist()):
                found[at] = answer(
                    self,
                    subject,
                    prediction=told.scores[place],
                    output=told.answers[place],
                    base_value=made[at].pop("baseValue", None),
                    background=self.background,
                    fidelity=made[at].pop("fidelity", {}),
                    budget=budget,
                    **made[at],
                )
        return [found[at] for at in range(len(frame))]

    def _made(
        self, instances: list[Any], frame: pd.DataFrame, budget: Budget
    ) -> list[dict[str, Any]]:
        """What the module returns, checked. Whatever it does wrong is a ModelFailure."""

        def predict(rows: list[Any]) -> list[Any]:
            budget.spend(len(rows))
            answers: list[Any] = self.subject.answers(self.subject.frame(rows))
            return answers

        try:
            returned = self.explains([_copied(each) for each in instances], predict)
        except ServingError:
            raise
        except Exception as error:
            why = f"{type(error).__name__}: {first_line(error)}"
            raise ModelFailure(f"The module's explain failed: {why}") from error
        if not isinstance(returned, list) or len(returned) != len(instances):
            raise ModelFailure(
                f"The module's explain must return a list of {len(instances)}, one for each "
                f"instance, not {described(returned)}"
            )
        cases = frame.to_dict("records")
        return [
            check(each, self.subject.names, {str(k): plain(v) for k, v in case.items()}, at)
            for at, (each, case) in enumerate(zip(returned, cases, strict=True))
        ]


def _explain_of(path: Any) -> Callable[[list[Any], Callable[[list[Any]], list[Any]]], Any]:
    """The module's `explain`. Raises LoadError where there is none."""
    if not isinstance(path, str) or not Path(path).is_file():
        raise LoadError("A custom explainer needs a Python module: a file with explain()")
    found = getattr(imported(path, "explainer", _PACKAGES), "explain", None)
    if not callable(found):
        raise LoadError("The explainer has no function explain(instances, predict)")
    explain: Callable[[list[Any], Callable[[list[Any]], list[Any]]], Any] = found
    return explain


def _copied(instance: Any) -> Any:
    """So that the module's changes do not reach what is explained."""
    return dict(instance) if isinstance(instance, dict) else list(instance)

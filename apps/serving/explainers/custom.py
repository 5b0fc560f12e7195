"""An explainer of the owner's own: a Python module with `explain(instances, predict)`.

`instances` are as a client sends them, `predict` gives the model's answers to a list of such. It
returns one object per instance with one of `contributions`, `rule`, `counterfactuals`, `curves`,
`reasons` or `picture` in the shape that all methods have, and `baseValue` or `fidelity` where it
has them. What does not fit is refused, so that nothing malformed is stored or drawn. Where the
model's features have no names, the module names what it likes, such as `row 3`.
"""

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any, Protocol

from apps.serving.errors import LoadError, ModelFailure, ServingError
from apps.serving.explainers.base import Background, Budget, answer, plain
from apps.serving.explainers.checks import Names, check, described
from apps.serving.explainers.scored import Scored, scored_as_given, scored_by_name
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
        return ""

    def fit(self, background: Background | None) -> None:
        self.background = background

    def explain(self, instances: list[Any], budget: Budget) -> list[dict[str, Any]]:
        rows = _rows_of(self.subject, instances)
        made = self._made(instances, rows, budget)
        budget.check()
        budget.spend(len(instances))
        return [
            answer(
                self,
                row.subject,
                prediction=row.score,
                output=row.output,
                base_value=each.pop("baseValue", None),
                background=self.background,
                fidelity=each.pop("fidelity", {}),
                budget=budget,
                **each,
            )
            for row, each in zip(rows.scored(), made, strict=True)
        ]

    def _made(self, instances: list[Any], rows: "_Rows", budget: Budget) -> list[dict[str, Any]]:
        """What the module returns, checked. Whatever it does wrong is a ModelFailure."""

        def predict(asked: list[Any]) -> list[Any]:
            budget.spend(len(asked))
            return _rows_of(self.subject, asked).answers()

        try:
            returned = self.explains([deepcopy(each) for each in instances], predict)
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
        return [
            check(each, rows.names, case, at)
            for at, (each, case) in enumerate(zip(returned, rows.cases, strict=True))
        ]


class _Rows(Protocol):
    """What the module explains: the names of its values, where they have some, and the answers."""

    @property
    def names(self) -> Names: ...

    @property
    def cases(self) -> list[dict[str, Any]]: ...

    def answers(self) -> list[Any]: ...

    def scored(self) -> list[Scored]: ...


class _Named:
    """Rows of features."""

    def __init__(self, subject: Any, instances: list[Any]) -> None:
        self.subject, self.names = subject, subject.names
        self.frame = subject.frame(instances)

    @property
    def cases(self) -> list[dict[str, Any]]:
        return [
            {str(name): plain(value) for name, value in case.items()}
            for case in self.frame.to_dict("records")
        ]

    def answers(self) -> list[Any]:
        answers: list[Any] = self.subject.answers(self.frame)
        return answers

    def scored(self) -> list[Scored]:
        return scored_by_name(self.subject, self.frame)


class _AsGiven:
    """Tensors, or plain lists of values that have no names."""

    names = None

    def __init__(self, subject: Any, instances: list[Any]) -> None:
        subject.check(instances)
        self.subject, self.instances = subject, instances

    @property
    def cases(self) -> list[dict[str, Any]]:
        return [{} for _ in self.instances]

    def answers(self) -> list[Any]:
        prepared = self.subject.prepared_as_given(self.instances)
        answers: list[Any] = self.subject.answers_of(prepared)
        return answers

    def scored(self) -> list[Scored]:
        return scored_as_given(self.subject, self.instances)


def _rows_of(subject: Any, instances: list[Any]) -> _Rows:
    """Raises BadRequest where instances are not what the model takes."""
    return _Named(subject, instances) if subject.features else _AsGiven(subject, instances)


def _explain_of(path: Any) -> Callable[[list[Any], Callable[[list[Any]], list[Any]]], Any]:
    """The module's `explain`. Raises LoadError where there is none."""
    if not isinstance(path, str) or not Path(path).is_file():
        raise LoadError("A custom explainer needs a Python module: a file with explain()")
    found = getattr(imported(path, "explainer", _PACKAGES), "explain", None)
    if not callable(found):
        raise LoadError("The explainer has no function explain(instances, predict)")
    explain: Callable[[list[Any], Callable[[list[Any]], list[Any]]], Any] = found
    return explain

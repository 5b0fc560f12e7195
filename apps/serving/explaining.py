"""What an explainer's server does apart from answering: fits its methods, explains, sums up."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from apps.serving.background import Sample, read_table, sample_of
from apps.serving.errors import BadRequest, LoadError, ModelFailure, ServingError
from apps.serving.explainers import explainer_class
from apps.serving.explainers.base import Background, Budget, BudgetExceeded
from apps.serving.explainers.subject import Subject, subject_of
from apps.serving.loaders.base import LoadedModel, first_line
from apps.serving.methods import CUSTOM, WITHOUT_BACKGROUND
from apps.serving.protocol import instances_of
from apps.serving.spec import ServerSpec
from apps.serving.tensors import listed

_EXAMPLE_SECONDS = 60.0
Result = TypeVar("Result")


@dataclass(slots=True)
class Job:
    """One request's time: `seconds` from its arrival, whatever it waits for and however often.

    `served` is what the model's server answered for its instances, where the request says so.
    """

    seconds: float
    arrived: float = field(default_factory=time.monotonic)
    began: float | None = None
    ended: bool = False
    budget: Budget | None = None
    served: list[Any] | None = None

    def allowance(self) -> Budget:
        """A budget of what is left. Raises BudgetExceeded where nothing is."""
        left = self.arrived + self.seconds - time.monotonic()
        if left <= 0:
            raise self.exceeded()
        self.budget = Budget(left, served=self.served)
        return self.budget

    def exceeded(self) -> BudgetExceeded:
        return BudgetExceeded(
            f"The explanation was not finished within {self.seconds:g} seconds; give it more time "
            "or choose a cheaper method"
        )

    def stop(self) -> None:
        """Nobody waits any more: the method ends where it next looks at its budget."""
        self.seconds = 0.0
        if self.budget is not None:
            self.budget.seconds = 0.0


@dataclass(slots=True)
class Fitted:
    """One configured method; `milliseconds` is what the example took, the second time."""

    name: str
    method: str
    explainer: Any
    milliseconds: float | None = None

    @property
    def described(self) -> dict[str, Any]:
        return {"name": self.name, "method": self.method, "milliseconds": self.milliseconds}


class Explanations:
    """The methods of one explainer, fitted to its model and background."""

    def __init__(self, model: LoadedModel, spec: ServerSpec) -> None:
        """Raises LoadError where a method, its settings or the background do not suit."""
        assert spec.explaining is not None
        self.model, self.spec, self.explaining = model, spec, spec.explaining
        path = spec.explaining.background
        table = read_table(Path(path)) if path else None
        self.subject: Subject = _refusing(
            "The model", lambda: subject_of(model, spec.metadata, table)
        )
        self.sample: Sample | None = None
        if table is not None and self.subject.features:
            read = self._sampled
            self.sample = _refusing("The background", lambda: read(table))
        self.fitted = {entry["name"]: self._fit(entry) for entry in spec.explaining.explainers}

    def _sampled(self, table: pd.DataFrame) -> Sample:
        return sample_of(table, self.subject, self.explaining)

    @property
    def background(self) -> Background | None:
        return self.sample.background if self.sample else None

    def _fit(self, entry: dict[str, Any]) -> Fitted:
        name, method = entry["name"], entry["method"]
        settings = dict(entry.get("settings") or {})
        if method == CUSTOM:
            settings["module"] = self.explaining.module
        kind = _refusing(name, lambda: explainer_class(method))
        why = _refusing(name, lambda: kind.suits(self.subject, self.background))
        if not why and self.background is None and method not in WITHOUT_BACKGROUND:
            why = "It needs a background: choose reference data"
        if why:
            raise LoadError(f"{name} ({method}) does not suit this model: {why}")

        def made() -> Any:
            explainer = kind(self.subject, settings, self.explaining.seed)
            explainer.fit(self.background)
            return explainer

        return Fitted(name, method, _refusing(f"{name} ({method})", made))

    def example(self) -> list[Any]:
        """What each method has to explain before anybody relies on it; empty where unknown."""
        example = self.spec.metadata.get("exampleInput")
        if example:
            return [listed(each) for each in instances_of(example)]
        if self.background is not None:
            return self.subject.instances(self.background.frame.head(1))
        return []

    def check(self) -> None:
        """Explains the example by each method, and notes what that takes. Raises LoadError."""
        instances = self.example()[:1]
        if not instances:
            return
        for fitted in self.fitted.values():
            self._try(fitted, instances)

    def _try(self, fitted: Fitted, instances: list[Any]) -> None:
        what = f"{fitted.name} ({fitted.method}) on the example input"
        for _ in range(2):
            started = time.monotonic()
            job = Job(_EXAMPLE_SECONDS)
            _refusing(what, partial(self.explained, instances, [fitted.name], job))
            fitted.milliseconds = round((time.monotonic() - started) * 1000, 3)

    def names(self, asked: Any) -> list[str]:
        """The methods that a request names, all where it names none. Raises BadRequest 404."""
        if asked is None:
            return list(self.fitted)
        if not isinstance(asked, list) or not asked:
            raise BadRequest('"explainers" must be a list of names')
        for name in asked:
            if name not in self.fitted:
                known = ", ".join(self.fitted)
                raise BadRequest(
                    f"There is no explainer {name} here; there are {known}", status=404
                )
        return asked

    def explained(
        self, instances: list[Any], names: list[str], job: Job
    ) -> list[list[dict[str, Any]]]:
        """For each instance the answer of each method. Raises ServingError."""
        answers: list[list[dict[str, Any]]] = [[] for _ in instances]
        seconds = job.seconds
        for name in names:
            given = self._given(name, instances, job)
            for place, each in zip(answers, given, strict=True):
                budget = each["budget"] | {"seconds": seconds}
                place.append({"name": name} | each | {"budget": budget})
        return answers

    def _given(self, name: str, instances: list[Any], job: Job) -> list[dict[str, Any]]:
        budget = job.allowance()
        try:
            given: list[dict[str, Any]] = self.fitted[name].explainer.explain(instances, budget)
        except BudgetExceeded as error:
            raise (job.exceeded() if not budget.rows else error) from None
        except ServingError:
            raise
        except Exception as error:
            why = f"{type(error).__name__}: {first_line(error)}"
            raise ModelFailure(f"The explainer {name} failed: {why}") from error
        if len(given) != len(instances):
            text = f"The explainer {name} gave {len(given)} answers for {len(instances)} instances"
            raise ModelFailure(text)
        return given

    def rows(self, asked: Any, default: int) -> tuple[pd.DataFrame, np.ndarray | None]:
        """The first rows of a shuffle of the background by the seed, with the truth of each."""
        background = self.background
        if background is None:
            raise BadRequest("This explainer has no background; add reference data to the version")
        wanted = default if asked is None else asked
        if type(wanted) is not int or wanted < 2:
            raise BadRequest('"rows" must be a whole number of at least 2')
        order = np.random.default_rng(self.explaining.seed).permutation(len(background.frame))
        kept = np.sort(order[:wanted])
        truth = None if background.target is None else background.target[kept]
        return background.frame.iloc[kept].reset_index(drop=True), truth


def _refusing(what: str, act: Callable[[], Result]) -> Result:
    """Whatever goes wrong at the start is a LoadError in words."""
    try:
        return act()
    except LoadError:
        raise
    except MemoryError:
        raise LoadError(f"{what} needs more memory than the explainer was given") from None
    except ServingError as error:
        raise LoadError(f"{what}: {error.message}") from error
    except Exception as error:
        why = f"{type(error).__name__}: {first_line(error)}"
        raise LoadError(f"{what} cannot be prepared: {why}") from error

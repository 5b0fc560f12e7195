"""scikit-learn estimators and pipelines as subjects: seen through to the final estimator."""

from typing import Any

import numpy as np
import pandas as pd
import sklearn

from apps.serving.errors import LoadError, ServingError
from apps.serving.explainers.encoding import Encoding, Unsure
from apps.serving.explainers.forest import Forest, forest_of
from apps.serving.explainers.grouping import groups_of
from apps.serving.explainers.subject import Subject, Told, columns_of, two_sided

_LOG_ODDS = {
    "HistGradientBoostingClassifier",
    "LinearDiscriminantAnalysis",
    "LogisticRegression",
    "LogisticRegressionCV",
}
_NEAR = 1e-7
_LOG_LINKS = {"PoissonRegressor", "GammaRegressor"}


class SklearnSubject(Subject):
    """Margin where the estimator has one, else probability, else value.

    `steps` prepare, `final` decides; searches and pipelines in pipelines are opened.
    """

    def __init__(
        self, model: Any, metadata: dict[str, Any], sample: pd.DataFrame | None = None
    ) -> None:
        self.steps, self.final = opened(model.native)
        self._encoding: Encoding | None = None
        super().__init__(model, metadata, sample)

    def _unit(self) -> str:
        if not self.classes:
            value = super()._unit()
            return f"log of {value}" if _logarithmic(self.final) else value
        if not self._has_margin():
            return "probability" if hasattr(self.final, "predict_proba") else "decision"
        if not _gives_log_odds(self.final):
            return "margin"
        return "log-odds" if len(self.classes) == 2 else "logit"

    def _has_margin(self) -> bool:
        """One column per class; pairs of classes, as one form of SVC has them, are none."""
        pairs = getattr(self.final, "decision_function_shape", "") == "ovo"
        return hasattr(self.final, "decision_function") and (not pairs or len(self.classes) == 2)

    def prepared(self, frame: pd.DataFrame) -> Any:
        return self._stepped(self.taken(frame))

    def prepared_as_given(self, instances: list[Any]) -> Any:
        return self._stepped(self.model._array(instances)[0])

    def _stepped(self, data: Any) -> Any:
        with sklearn.config_context(skip_parameter_validation=True):
            for step in self.steps:
                data = step.transform(data)
        return data

    def learn(self, frame: pd.DataFrame) -> None:
        """Where the steps have a short way that gives their own numbers for these rows."""
        if not self.steps or self._encoding is not None:
            return
        try:
            encoding = Encoding(self.steps, self.names)
        except Unsure:
            return
        if encoding.proven(self.cast(frame), self.prepared(frame)):
            self._encoding = encoding

    def told(self, frame: pd.DataFrame, served: list[Any] | None = None) -> Told:
        """The short way counts where it leads to what the whole model, elsewhere, has answered."""
        if served is not None and self._encoding is not None:
            prepared = self._encoding.of(frame)
            if prepared is not None and self._leads_to(served, prepared):
                return Told(prepared, self.scores_of(prepared), self.answers_of(prepared))
        return super().told(frame)

    def _leads_to(self, served: list[Any], prepared: Any) -> bool:
        """The same outputs, so near that log-odds and values agree to the tolerance of a sum."""
        if self.problem == "classification":
            return False  # a label says too little
        try:
            given, outputs = self.read(served), self.outputs_of(prepared)
        except ServingError:
            return False
        if given.shape != outputs.shape:
            return False
        size = np.minimum(given, 1.0 - given) if self.classes else np.maximum(1.0, np.abs(given))
        return bool((np.abs(given - outputs) <= _NEAR * np.abs(size)).all())

    def taken(self, frame: pd.DataFrame) -> Any:
        """What the whole model takes: a frame where it was fitted on one, else an array."""
        frame = self.cast(frame)
        for name, feature in zip(self.names, self.features, strict=True):
            if not feature.numeric and frame[name].isna().any():
                column = frame[name].where(frame[name].notna(), self.model._missing)
                frame = frame.assign(**{name: column.astype(object)})
        if self.model.framed:
            return frame
        numeric = all(feature.numeric for feature in self.features) or not self.schema.names
        # In the order of the loader's arrays, because sums differ in the last digit with it.
        return np.ascontiguousarray(frame.to_numpy(dtype=np.float64 if numeric else object))

    def outputs_of(self, prepared: Any) -> np.ndarray:
        with sklearn.config_context(skip_parameter_validation=True):
            if self.classes and hasattr(self.final, "predict_proba"):
                return columns_of(np.asarray(self.final.predict_proba(prepared), dtype=float))
            answers = np.asarray(self.final.predict(prepared))
        return self.read(answers.tolist())

    def raw_of(self, prepared: Any) -> np.ndarray:
        if not self.classes:
            values = self.outputs_of(prepared)
            return np.log(values) if _logarithmic(self.final) else values
        if not self._has_margin():
            return self.outputs_of(prepared)
        with sklearn.config_context(skip_parameter_validation=True):
            return two_sided(np.asarray(self.final.decision_function(prepared), dtype=float))

    def answers_of(self, prepared: Any) -> list[Any]:
        """What the model server answers, from what the final estimator takes."""
        if self.problem == "classificationWithProbabilities":
            found: list[Any] = self.outputs_of(prepared).tolist()
            return found
        return list(np.asarray(self.final.predict(prepared)).tolist())

    def encoded_of(self, prepared: Any) -> np.ndarray:
        """Numbers as the trees or coefficients have them."""
        inner = getattr(self.final, "_preprocessor", None)
        return dense(inner.transform(prepared) if inner is not None else prepared)

    def forest(self, target: int) -> Forest:
        """The trees that give the score; raises LoadError where there are none."""
        return forest_of(self.final, target, len(self.classes))

    def groups(self) -> list[list[int]]:
        inner = getattr(self.final, "_preprocessor", None)  # HistGradientBoosting's categories
        return groups_of([*self.steps, *([inner] if inner is not None else [])], self.names)


def opened(estimator: Any) -> tuple[list[Any], Any]:
    """The transformers in their order, and the estimator that decides."""
    steps: list[Any] = []
    while True:
        if hasattr(estimator, "best_estimator_"):
            estimator = estimator.best_estimator_
        elif hasattr(estimator, "steps") and hasattr(estimator, "named_steps"):
            parts = [part for _, part in estimator.steps]
            steps += [part for part in parts[:-1] if part is not None and part != "passthrough"]
            estimator = parts[-1]
        else:
            return steps, estimator


def dense(data: Any) -> np.ndarray:
    """Numbers; raises LoadError where the final estimator takes texts."""
    values = data.toarray() if hasattr(data, "toarray") else data
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise LoadError("The final estimator takes values that are no numbers") from None


def _gives_log_odds(final: Any) -> bool:
    name = type(final).__name__
    if name in ("GradientBoostingClassifier", "SGDClassifier"):
        return str(final.loss) == "log_loss"
    if name.startswith("Stacking"):
        return _gives_log_odds(final.final_estimator_)
    return name in _LOG_ODDS


def _logarithmic(final: Any) -> bool:
    """True where the model adds up logarithms of the value."""
    name = type(final).__name__
    if name == "HistGradientBoostingRegressor":
        return final.loss in ("poisson", "gamma")
    if name == "TweedieRegressor":
        return bool(final.link == "log" or (final.link == "auto" and final.power > 0))
    return name in _LOG_LINKS

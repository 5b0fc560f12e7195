"""Boosters of XGBoost, LightGBM and CatBoost as subjects: their margins, and the codes they take.

Nothing here imports a library: the loaded model brings its own objects.
"""

import json
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from apps.serving.errors import BadRequest
from apps.serving.explainers.booster_forest import xgboost_forest
from apps.serving.explainers.forest import Forest
from apps.serving.explainers.lightgbm_forest import (
    as_codes,
    averaged_rounds,
    categorical_columns,
    lightgbm_forest,
)
from apps.serving.explainers.subject import Subject, columns_of, two_sided

_LOG_LINKS = ("count:poisson", "reg:gamma", "reg:tweedie", "poisson", "gamma", "tweedie")
_ODDS = ("binary:logistic", "binary:logitraw", "reg:logistic", "binary", "cross_entropy")
_VALUES = (
    "reg:squarederror", "reg:absoluteerror", "reg:pseudohubererror", "reg:quantileerror",
    "reg:squaredlogerror", "regression", "regression_l1", "huber", "fair", "quantile", "mape",
)  # fmt: skip


class BoosterSubject(Subject):
    """Columns are the features themselves, categories as the codes of their training table."""

    def _unit(self) -> str:
        objective = self.model.objective
        if len(self.classes) > 2:
            return "logit"
        if objective in _ODDS:
            return "log-odds"
        if self.classes:
            return "margin"
        value = super()._unit()
        if objective in _LOG_LINKS:
            return f"log of {value}"
        return value if objective in _VALUES else "margin"

    def prepared(self, frame: pd.DataFrame) -> np.ndarray:
        given = self.cast(frame).to_numpy(dtype=object)  # once: a frame's columns are slow to reach
        values = np.empty(given.shape, dtype=np.float64)
        for at, name in enumerate(self.names):
            codes = self.model._codes.get(at)
            column = given[:, at]
            values[:, at] = _coded(column, codes, name) if codes else _number(column, name)
        return values

    def encoded_of(self, prepared: np.ndarray) -> np.ndarray:
        return prepared

    def groups(self) -> list[list[int]]:
        return [[column] for column in range(len(self.names))]

    def outputs_of(self, prepared: np.ndarray) -> np.ndarray:
        raise NotImplementedError

    def answers_of(self, prepared: np.ndarray) -> list[Any]:
        """What the model server answers: the outputs, a value, or the number of a class."""
        outputs = self.outputs_of(prepared)
        if self.problem == "classification":
            return list(outputs.argmax(axis=1).tolist())
        return list((outputs[:, 0] if outputs.shape[1] == 1 else outputs).tolist())


class XGBoostSubject(BoosterSubject):
    """The margin of a booster up to the round that answers, in single precision."""

    single = True

    def _known_classes(self, described: dict[str, Any]) -> list[Any]:
        learner = json.loads(self.native.save_config())["learner"]
        return list(range(max(int(learner["learner_model_param"]["num_class"]), 2)))

    def outputs_of(self, prepared: np.ndarray) -> np.ndarray:
        """Probabilities or values, as the booster predicts them."""
        if self.model.objective == "multi:softmax":
            return _softmax(self.raw_of(prepared))
        raw = self._predict(prepared, margin=False)
        if self.classes and raw.ndim == 1:
            return np.column_stack((1.0 - raw, raw))
        return columns_of(raw)

    def raw_of(self, prepared: np.ndarray) -> np.ndarray:
        raw = self._predict(prepared, margin=True).astype(np.float64)
        return two_sided(raw) if self.classes else columns_of(raw)

    def _predict(self, prepared: np.ndarray, *, margin: bool) -> np.ndarray:
        if self.model._has_trees:
            kind = "margin" if margin else "value"
            rounds = self.model._rounds
            return np.asarray(
                self.native.inplace_predict(
                    prepared, iteration_range=rounds, predict_type=kind, validate_features=False
                )
            )
        return np.asarray(self.native.predict(self.matrix(prepared), output_margin=margin))

    def native_contributions(self, prepared: np.ndarray) -> np.ndarray:
        """(n, outputs, features + 1); the last column is the base value."""
        return np.asarray(
            self.native.predict(
                self.matrix(prepared),
                pred_contribs=True,
                iteration_range=self.model._rounds,
                strict_shape=True,
                validate_features=False,
            )
        )

    def forest(self, target: int) -> Forest:
        """The trees that give the margin; raises LoadError where there are none."""
        counts = {at: len(codes) for at, codes in self.model._codes.items()}
        return xgboost_forest(self.native, self.model._rounds, target, len(self.classes), counts)

    def matrix(self, prepared: np.ndarray) -> Any:
        """The library's own table of rows."""
        from xgboost import DMatrix

        return DMatrix(
            prepared,
            feature_names=self.native.feature_names,
            feature_types=self.native.feature_types,
            enable_categorical=True,
            nthread=1,
        )


class LightGBMSubject(BoosterSubject):
    """The raw score of a booster; the mean of the trees where it is a forest.

    The library gives a forest's raw scores and contributions as sums, its outputs from the mean.
    """

    def _known_classes(self, described: dict[str, Any]) -> list[Any]:
        return list(range(max(self.model.booster.num_model_per_iteration(), 2)))

    def outputs_of(self, prepared: np.ndarray) -> np.ndarray:
        """Probabilities or values, as the booster predicts them."""
        raw = np.asarray(self.native.predict(prepared, num_threads=self.model.threads))
        if self.classes and raw.ndim == 1:
            return np.column_stack((1.0 - raw, raw))
        return columns_of(raw)

    def raw_of(self, prepared: np.ndarray) -> np.ndarray:
        sums = self.native.predict(prepared, raw_score=True, num_threads=self.model.threads)
        raw = np.asarray(sums) / self._averaged
        return two_sided(raw) if self.classes else columns_of(raw)

    def native_contributions(self, prepared: np.ndarray) -> np.ndarray:
        """(n, outputs, features + 1); the last column is the base value."""
        sums = self.native.predict(prepared, pred_contrib=True, num_threads=self.model.threads)
        return np.asarray(sums).reshape(len(prepared), -1, len(self.names) + 1) / self._averaged

    def forest(self, target: int) -> Forest:
        """The trees that give the raw score; raises LoadError where they cannot be read."""
        return lightgbm_forest(self._text, target, len(self.classes))

    def encoded_of(self, prepared: np.ndarray) -> np.ndarray:
        """Numbers in the columns of categories as the library takes them."""
        encoded = prepared.copy()
        for column in self._categorical:
            encoded[:, column] = as_codes(prepared[:, column])
        return encoded

    @cached_property
    def _text(self) -> str:
        return str(self.native.model_to_string(num_iteration=-1))

    @cached_property
    def _averaged(self) -> int:
        return averaged_rounds(self._text)

    @cached_property
    def _categorical(self) -> list[int]:
        return categorical_columns(self._text)


class CatBoostSubject(Subject):
    """The raw formula of a model on numbers, categories and texts."""

    def _unit(self) -> str:
        if self.classes:
            return "log-odds" if len(self.classes) == 2 else "logit"
        value = super()._unit()
        return f"log of {value}" if self.model._exponent() == "Exponent" else value

    def prepared(self, frame: pd.DataFrame) -> Any:
        """The library's own table of rows."""
        rows = np.array(self.instances(frame), dtype=np.float64 if self.model._plain else object)
        return self.model._pool(rows)

    def outputs_of(self, prepared: Any) -> np.ndarray:
        """Probabilities, or values as the model server gives them."""
        kind = "Probability" if self.classes else self.model._exponent()
        return columns_of(self._predicted(prepared, kind))

    def raw_of(self, prepared: Any) -> np.ndarray:
        raw = self._predicted(prepared, "RawFormulaVal")
        return two_sided(raw) if self.classes else columns_of(raw)

    def answers_of(self, prepared: Any) -> list[Any]:
        if self.problem == "classification":
            labels = self._predicted(prepared, "Class").reshape(prepared.num_row(), -1)
            return list((labels[:, 0] if labels.shape[1] == 1 else labels).tolist())
        outputs = self.outputs_of(prepared)
        return list((outputs[:, 0] if outputs.shape[1] == 1 else outputs).tolist())

    def native_contributions(self, prepared: Any) -> np.ndarray:
        """(n, outputs, features + 1); the last column is the base value."""
        found = np.asarray(
            self.native.get_feature_importance(
                prepared, type="ShapValues", thread_count=self.model.threads
            )
        )
        return found[:, np.newaxis, :] if found.ndim == 2 else found

    def _predicted(self, prepared: Any, kind: str) -> np.ndarray:
        threads = self.model.threads
        found = self.native.predict(prepared, prediction_type=kind, thread_count=threads)
        return np.asarray(found)


def _coded(column: np.ndarray, codes: dict[Any, float], name: str) -> np.ndarray:
    """Codes of categories; missing ones are NaN. Raises BadRequest for one that is not known."""
    values = [codes.get(None if value != value else value, _UNKNOWN) for value in column]  # noqa: PLR0124
    if _UNKNOWN in values:
        strange = column[values.index(_UNKNOWN)]
        raise BadRequest(f"The model was trained on no category {strange!r} of {name}")
    return np.array(values, dtype=np.float64)


_UNKNOWN = object()


def _number(column: np.ndarray, name: str) -> np.ndarray:
    try:
        return column.astype(np.float64)
    except (TypeError, ValueError):
        raise BadRequest(f"{name} holds a value that is no number") from None


def _softmax(raw: np.ndarray) -> np.ndarray:
    powers = np.exp(raw - raw.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))

"""What every loader has to keep: models as people train them, and what plain Python answers.

A framework is one row of FRAMEWORKS: how its files are written, by format, and its cases. A case
trains a model and says with which instances it is asked and what the library itself answers. A
framework that the application's own packages lack is trained, asked and loaded in its environment.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from apps.serving.loaders import load
from apps.serving.loaders.base import LoadedModel
from apps.serving.spec import ServerSpec
from tests.serving import elsewhere, sklearn_cases, xgboost_cases
from tests.serving.cases import Fitted


@dataclass(frozen=True)
class Served:
    """A case that has been written to a file in one of its formats."""

    fitted: Fitted
    spec: ServerSpec


@dataclass(frozen=True)
class Framework:
    """A framework, its formats with what writes them, and its cases."""

    name: str
    formats: dict[str, Callable[[Any, Path], Any]]
    cases: tuple[Callable[[], Fitted], ...]
    not_in: dict[str, set[str]] = field(default_factory=dict)
    marks: tuple[Any, ...] = ()

    def written(self, format_: str, case: str, path: Path) -> Fitted:
        """Writes the model of a case to `path`."""
        fitted = _fitted(next(each for each in self.cases if each.__name__ == case))
        named = path.with_suffix(f".{format_.removeprefix('xgboost-')}")
        self.formats[format_](fitted.model, named)
        named.rename(path)
        return fitted

    def load(self, spec: ServerSpec) -> LoadedModel:
        return load(spec)

    def case_names(self) -> list[str]:
        return [case.__name__ for case in self.cases]


@dataclass(frozen=True)
class Elsewhere:
    """A framework in an environment of its own; its cases are `tests/serving/<name>_cases.py`."""

    name: str
    formats: tuple[str, ...]
    cases: tuple[str, ...]
    not_in: dict[str, set[str]] = field(default_factory=dict)
    marks: tuple[Any, ...] = (pytest.mark.slow,)

    def written(self, format_: str, case: str, path: Path) -> Fitted:
        """Writes the model of a case to `path`."""
        return elsewhere.worker(self.name).written(format_, case, path)

    def load(self, spec: ServerSpec) -> LoadedModel:
        return elsewhere.worker(self.name).load(spec)

    def case_names(self) -> list[str]:
        return list(self.cases)


FRAMEWORKS = (
    Framework("sklearn", sklearn_cases.FORMATS, sklearn_cases.CASES),
    Framework("xgboost", xgboost_cases.FORMATS, xgboost_cases.CASES),
    Elsewhere(
        "pytorch",
        ("torchscript", "torch-export", "torch-state-dict"),
        (
            "digits",
            "digits_as_classes",
            "named_columns",
            "several_inputs_and_outputs",
            "sequences_of_tokens",
            "double_precision",
            "one_number_as_probability",
            "one_row_at_a_time",
            "raw_scores",
        ),
    ),
    Elsewhere(
        "tensorflow",
        ("saved-model", "keras"),
        (
            "digits",
            "digits_as_classes",
            "named_columns",
            "columns_as_inputs",
            "sequences_of_tokens",
            "one_number_as_probability",
            "a_function_in_double_precision",
        ),
        not_in={"keras": {"a_function_in_double_precision"}},
    ),
    Elsewhere(
        "onnx",
        ("onnx",),
        (
            "digits",
            "digits_as_classes",
            "label_and_probabilities_together",
            "named_columns",
            "probabilities_in_maps",
            "several_inputs_and_outputs",
            "one_of_several_outputs",
            "double_precision",
            "one_row_at_a_time",
        ),
    ),
    Elsewhere(
        "lightgbm",
        ("lightgbm-text",),
        (
            "two_classes",
            "class_numbers",
            "three_classes",
            "regression",
            "counts_by_poisson",
            "without_names",
            "missing_values",
            "categories",
            "categories_with_gaps",
            "categories_that_no_tree_uses",
        ),
    ),
    Elsewhere(
        "catboost",
        ("catboost-cbm", "catboost-json"),
        (
            "two_classes",
            "labels_as_texts",
            "three_classes",
            "class_numbers_of_three",
            "regression",
            "regression_of_several_targets",
            "counts_by_poisson",
            "without_names",
            "missing_values",
            "categories",
            "categories_that_are_whole_numbers_and_truths",
        ),
    ),
    Elsewhere(
        "mlflow",
        ("mlflow",),
        (
            "a_pipeline_on_columns_of_all_types",
            "a_regression_in_skops",
            "without_a_signature",
            "several_columns_out",
            "a_tensor",
        ),
    ),
)

_fitted_once: dict[Any, Fitted] = {}


def _fitted(case: Callable[[], Fitted]) -> Fitted:
    if case not in _fitted_once:
        _fitted_once[case] = case()
    return _fitted_once[case]


def parameters() -> list[Any]:
    """Framework, format and case of every combination, for pytest."""
    return [
        pytest.param(
            framework, format_, case, id=f"{framework.name}-{format_}-{case}", marks=framework.marks
        )
        for framework in FRAMEWORKS
        for case in framework.case_names()
        for format_ in framework.formats
        if case not in framework.not_in.get(format_, set())
    ]


def formats() -> list[Any]:
    """Every framework with each of its formats."""
    return [
        pytest.param(framework, format_, id=f"{framework.name}-{format_}", marks=framework.marks)
        for framework in FRAMEWORKS
        for format_ in framework.formats
    ]


def written(framework: Framework | Elsewhere, format_: str, case: str, folder: Path) -> Served:
    """The case's model in a file of its format, with the specification that serves it.

    The file has no ending, as in the store of artifacts.
    """
    path = folder / "model"
    fitted = framework.written(format_, case, path)
    metadata = fitted.metadata | {"exampleInput": {"instances": fitted.instances[:1]}}
    return Served(fitted, ServerSpec("m", framework.name, format_, str(path), metadata))

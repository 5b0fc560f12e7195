"""Which raw feature each encoded column of a scikit-learn pipeline comes from."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.base import OneToOneFeatureMixin
from sklearn.compose import ColumnTransformer
from sklearn.feature_selection import SelectorMixin
from sklearn.impute import KNNImputer, MissingIndicator, SimpleImputer
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.preprocessing import FunctionTransformer, KBinsDiscretizer, OneHotEncoder
from sklearn.utils.validation import check_array

from apps.serving.errors import LoadError

Sources = list[int]


def groups_of(steps: Sequence[Any], names: list[str]) -> list[list[int]]:
    """The encoded columns of each raw feature; empty for one that is dropped.

    Raises LoadError where a step mixes features, such as PCA: its columns are nobody's own.
    """
    features = len(names)
    sources = list(range(features))
    for step in steps:
        sources = _through(step, sources, names)
        names = [str(each) for each in _names_out(step, names, len(sources))]
    groups: list[list[int]] = [[] for _ in range(features)]
    for column, source in enumerate(sources):
        groups[source].append(column)
    return groups


def summed(values: np.ndarray, groups: list[list[int]]) -> np.ndarray:
    """(n, columns) as (n, features): the columns of a feature are added up."""
    return np.column_stack([values[:, columns].sum(axis=1) for columns in groups])


def _names_out(step: Any, names: list[str], width: int) -> list[Any]:
    """The names that a frame has after a step which was set to give frames."""
    try:
        return list(step.get_feature_names_out())
    except (AttributeError, ValueError):
        return list(range(width))


def _through(step: Any, sources: Sources, names: list[str]) -> Sources:
    if step is None or (isinstance(step, str) and step == "passthrough"):
        return sources
    if isinstance(step, str):
        return []  # dropped
    for kind, follow in _FOLLOWED.items():
        if isinstance(step, kind):
            followed: Sources = follow(step, sources, names)
            return followed
    if isinstance(step, OneToOneFeatureMixin):
        return sources
    raise LoadError(
        f"The step {type(step).__name__} of the pipeline mixes features, so what it gives belongs "
        "to none of them; use a method that asks the whole model, such as shap.permutation"
    )


def _pipeline(step: Pipeline, sources: Sources, names: list[str]) -> Sources:
    for _, part in step.steps:
        sources = _through(part, sources, names)
        names = [str(each) for each in _names_out(part, names, len(sources))]
    return sources


def _column_transformer(step: ColumnTransformer, sources: Sources, names: list[str]) -> Sources:
    width = max((part.stop for part in step.output_indices_.values()), default=0)
    found = [-1] * width
    for name, part, columns in step.transformers_:
        place = step.output_indices_[name]
        at = positions(columns, names)
        taken = _through(part, [sources[i] for i in at], [names[i] for i in at])
        found[place.start : place.stop] = taken
    return found


def positions(columns: Any, names: list[str]) -> list[int]:
    """The positions of what a ColumnTransformer took: names, numbers, a slice or a mask."""
    if isinstance(columns, slice):
        if isinstance(columns.start, str) or isinstance(columns.stop, str):
            start = names.index(columns.start) if columns.start is not None else None
            stop = names.index(columns.stop) + 1 if columns.stop is not None else None
            columns = slice(start, stop, columns.step)
        return list(range(*columns.indices(len(names))))
    listed: list[Any] = [columns] if isinstance(columns, str | int) else list(columns)
    if listed and all(isinstance(each, bool | np.bool_) for each in listed):
        return [int(i) for i in np.flatnonzero(listed)]
    return [names.index(each) if isinstance(each, str) else int(each) for each in listed]


def _union(step: FeatureUnion, sources: Sources, names: list[str]) -> Sources:
    return [s for _, part in step.transformer_list for s in _through(part, sources, names)]


def _one_hot(step: OneHotEncoder, sources: Sources, _names: list[str]) -> Sources:
    widths = step._n_features_outs
    return [source for source, width in zip(sources, widths, strict=True) for _ in range(width)]


def _imputer(step: SimpleImputer, sources: Sources, _names: list[str]) -> Sources:
    """Columns without any value are left out; indicators of gaps follow."""
    kept = sources
    if not step.keep_empty_features:
        empty = [isinstance(value, float) and np.isnan(value) for value in step.statistics_]
        kept = [source for source, gone in zip(sources, empty, strict=True) if not gone]
    indicator = step.indicator_
    return kept + ([sources[i] for i in indicator.features_] if indicator is not None else [])


def _indicator(step: MissingIndicator, sources: Sources, _names: list[str]) -> Sources:
    return [sources[i] for i in step.features_]


def _selector(step: Any, sources: Sources, _names: list[str]) -> Sources:
    return [sources[i] for i in np.flatnonzero(step.get_support())]


def _binned(step: KBinsDiscretizer, sources: Sources, _names: list[str]) -> Sources:
    if step.encode == "ordinal":
        return sources
    return [s for s, bins in zip(sources, step.n_bins_, strict=True) for _ in range(int(bins))]


def _function(step: FunctionTransformer, sources: Sources, _names: list[str]) -> Sources:
    checks = getattr(step.func, "func", None) is check_array  # inside HistGradientBoosting
    if step.func is None or checks or step.feature_names_out == "one-to-one":
        return sources
    raise LoadError(
        "What a FunctionTransformer does with the features is not known; set its feature_names_out "
        'to "one-to-one" where each column stays its own'
    )


def _mixed(step: Any, _sources: Sources, _names: list[str]) -> Sources:
    raise LoadError(f"The step {type(step).__name__} fills gaps from other features")


_FOLLOWED: dict[Any, Any] = {
    Pipeline: _pipeline,
    ColumnTransformer: _column_transformer,
    FeatureUnion: _union,
    OneHotEncoder: _one_hot,
    SimpleImputer: _imputer,
    MissingIndicator: _indicator,
    KNNImputer: _mixed,
    SelectorMixin: _selector,
    KBinsDiscretizer: _binned,
    FunctionTransformer: _function,
}

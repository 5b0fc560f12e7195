"""Trees in one form: as scikit-learn fitted them, one score, exact thresholds, gaps, categories."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from apps.serving.errors import LoadError

_MOST_NODES = 2_000_000


@dataclass(frozen=True, slots=True)
class Tree:
    """Nodes as arrays, the root first; children are -1 at leaves. `x <= threshold` goes left.

    `default` is the child for missing values, `weight` how many training rows passed the node.
    """

    left: np.ndarray
    right: np.ndarray
    default: np.ndarray
    feature: np.ndarray
    threshold: np.ndarray
    value: np.ndarray
    weight: np.ndarray


@dataclass(frozen=True, slots=True)
class Forest:
    """`base` and the sum of the trees' leaves are the score.

    `single`: values are compared in single precision; `strict`: `x < threshold` goes left.
    """

    trees: list[Tree]
    base: float
    single: bool = False
    strict: bool = False


def forest_of(final: Any, target: int, classes: int) -> Forest:
    """The trees of a fitted estimator for one class or output, in the unit of its subject.

    Raises LoadError where the estimator is none of trees.
    """
    for names, convert in _CONVERTERS:
        if type(final).__name__ in names:
            return convert(final, target, classes)
    raise LoadError(f"{type(final).__name__} is no model of trees that can be read")


def can_read(final: Any) -> bool:
    """True for the estimators that `forest_of` knows."""
    return any(type(final).__name__ in names for names, _ in _CONVERTERS)


def _averaged(final: Any, target: int, classes: int) -> Forest:
    """Decision trees and forests: the mean of the leaves, shares of the class or values."""
    members = getattr(final, "estimators_", None) or [final]
    return Forest(
        [_tree(each.tree_, target, classes, 1.0 / len(members)) for each in members], 0.0, True
    )


def _tree(tree: Any, target: int, classes: int, scale: float) -> Tree:
    values = tree.value[:, 0, :] if classes else tree.value[:, target, :]
    if classes:
        values = values / values.sum(axis=1, keepdims=True)
    goes_left = tree.missing_go_to_left.astype(bool)
    left, right = tree.children_left, tree.children_right
    return Tree(
        left,
        right,
        np.where(goes_left, left, right),
        tree.feature,
        tree.threshold,
        values[:, target if classes else 0] * scale,
        tree.weighted_n_node_samples,
    )


def _boosted(final: Any, target: int, classes: int) -> Forest:
    """Gradient boosting: the first guess and the shrunken leaves of the class."""
    column = target if classes > 2 else 0
    sign = -1.0 if classes == 2 and target == 0 else 1.0
    if final.init_ != "zero" and type(final.init_).__name__ not in (
        "DummyClassifier",
        "DummyRegressor",
    ):
        raise LoadError(
            f"The boosting starts from a {type(final.init_).__name__} of its own, which is not "
            "made of trees; use shap.permutation"
        )
    start = final._raw_predict_init(np.zeros((1, final.n_features_in_)))[0, column]
    scale = sign * final.learning_rate
    trees = [_tree(each.tree_, 0, 0, scale) for each in final.estimators_[:, column]]
    return Forest(trees, sign * float(start), True)


def _histogram(final: Any, target: int, classes: int) -> Forest:
    """Histogram gradient boosting: double precision, gaps, and sets of categories."""
    column = target if classes > 2 else 0
    sign = -1.0 if classes == 2 and target == 0 else 1.0
    counts = [0 if each is None else len(each) for each in final._bin_mapper.known_categories or ()]
    trees = [_histogram_tree(stage[column], counts, sign) for stage in final._predictors]
    start = np.asarray(final._baseline_prediction).reshape(-1)[column]
    return Forest(trees, sign * float(start))


def _histogram_tree(predictor: Any, counts: list[int], sign: float) -> Tree:
    nodes = predictor.nodes
    leaf = nodes["is_leaf"].astype(bool)
    left = np.where(leaf, -1, nodes["left"].astype(np.int64))
    right = np.where(leaf, -1, nodes["right"].astype(np.int64))
    tree = Tree(
        left,
        right,
        np.where(nodes["missing_go_to_left"].astype(bool), left, right),
        np.where(leaf, -1, nodes["feature_idx"].astype(np.int64)),
        nodes["num_threshold"],
        nodes["value"] * sign,
        nodes["count"].astype(np.float64),
    )
    categorical = nodes["is_categorical"].astype(bool) & ~leaf
    if not categorical.any():
        return tree

    def members(node: int) -> np.ndarray:
        """Whether each code goes left."""
        bits = predictor.raw_left_cat_bitsets[nodes["bitset_idx"][node]]
        codes = np.arange(counts[nodes["feature_idx"][node]])
        return np.asarray((bits[codes // 32] >> (codes % 32).astype(np.uint32)) & 1 == 1)

    return with_sets(tree, {int(node): members(int(node)) for node in np.flatnonzero(categorical)})


def with_sets(tree: Tree, sets: dict[int, np.ndarray]) -> Tree:
    """The same tree where nodes that ask "is the code in this set" became chains of thresholds.

    `sets` gives for such a node which codes go left. Codes of equal side that follow each other
    are one link of the chain; below each hangs its own copy of the side's subtree, with its share
    of the weight. What the tree answers, and what it expects of an unknown value, stay the same.
    """
    made = _Rows()
    made.copy(tree, sets, 0, 1.0)
    return made.tree()


class _Rows:
    """The nodes of a tree that is being made."""

    def __init__(self) -> None:
        self.rows: list[list[float]] = []

    def copy(self, tree: Tree, sets: dict[int, np.ndarray], node: int, share: float) -> int:
        """Copies the subtree below a node with this share of its weight; its new position."""
        if tree.left[node] < 0:
            return self._add(-1, 0.0, float(tree.value[node]), tree.weight[node] * share)
        left, right = int(tree.left[node]), int(tree.right[node])
        if node in sets:
            missing = int(tree.default[node])
            links = list(_links(sets[node]))
            return self._chain(tree, sets, node, links, share, missing)
        feature, threshold = int(tree.feature[node]), float(tree.threshold[node])
        at = self._add(feature, threshold, float(tree.value[node]), tree.weight[node] * share)
        to_left = self.copy(tree, sets, left, share)
        to_right = self.copy(tree, sets, right, share)
        self._join(at, to_left, to_right, to_left if tree.default[node] == left else to_right)
        return at

    def _chain(
        self,
        tree: Tree,
        sets: dict[int, np.ndarray],
        node: int,
        links: list[tuple[bool, int, float]],
        share: float,
        missing: int,
    ) -> int:
        """One threshold per link but the last; a missing value falls through to its side."""
        sides = {True: int(tree.left[node]), False: int(tree.right[node])}
        (goes_left, last, part), rest = links[0], links[1:]
        child = sides[goes_left]
        if not rest:
            return self.copy(tree, sets, child, share * part)
        weight = share * sum(tree.weight[sides[side]] * p for side, _, p in links)
        at = self._add(int(tree.feature[node]), float(last), float(tree.value[node]), weight)
        first = self.copy(tree, sets, child, share * part)
        others = self._chain(tree, sets, node, rest, share, missing)
        self._join(at, first, others, first if child == missing else others)
        return at

    def _add(self, feature: int, threshold: float, value: float, weight: float) -> int:
        if len(self.rows) >= _MOST_NODES:
            raise LoadError(
                "The trees split categories too finely to be read; ask shap.permutation"
            )
        self.rows.append([-1, -1, -1, feature, threshold, value, weight])
        return len(self.rows) - 1

    def _join(self, at: int, left: int, right: int, default: int) -> None:
        self.rows[at][:3] = [left, right, default]

    def tree(self) -> Tree:
        columns = np.array(self.rows).T
        whole = [column.astype(np.int64) for column in columns[:4]]
        return Tree(*whole, *columns[4:])


def _links(members: np.ndarray) -> Iterator[tuple[bool, int, float]]:
    """Runs of codes of the same side: the side, the last code, and its share of the side.

    Where all codes go one way, the other side is left for missing values alone.
    """
    ends = np.flatnonzero(np.append(members[1:] != members[:-1], True))
    starts = np.concatenate(([0], ends[:-1] + 1))
    totals = {True: int(members.sum()), False: int((~members).sum())}
    for start, end in zip(starts, ends, strict=True):
        side = bool(members[end])
        yield side, int(end), (end - start + 1) / totals[side]
    if len(ends) == 1:
        yield not bool(members[0]), len(members), 1.0


_Convert = Callable[[Any, int, int], Forest]
_CONVERTERS: tuple[tuple[set[str], _Convert], ...] = (
    (
        {
            "DecisionTreeClassifier",
            "DecisionTreeRegressor",
            "ExtraTreeClassifier",
            "ExtraTreeRegressor",
            "ExtraTreesClassifier",
            "ExtraTreesRegressor",
            "RandomForestClassifier",
            "RandomForestRegressor",
        },
        _averaged,
    ),
    ({"GradientBoostingClassifier", "GradientBoostingRegressor"}, _boosted),
    ({"HistGradientBoostingClassifier", "HistGradientBoostingRegressor"}, _histogram),
)

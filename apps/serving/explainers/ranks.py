"""Trees and rows in ranks instead of values, for a library that narrows thresholds.

shap 0.51 compares values with thresholds that it rounded to single precision: a value between a
threshold and its rounded form goes the wrong way, and the contributions are those of another
model. Whole numbers survive the rounding, so each value becomes the count of the feature's own
thresholds that lie below it; every comparison keeps its outcome.
"""

from typing import Any, Literal

import numpy as np

from apps.serving.explainers.forest import Forest, Tree


class Ranks:
    """The thresholds of a forest by feature, and what replaces values by their ranks."""

    def __init__(self, forest: Forest, columns: int) -> None:
        self.forest, self.columns = forest, columns
        asked = [tree.left >= 0 for tree in forest.trees]
        features = np.concatenate(
            [t.feature[inner] for t, inner in zip(forest.trees, asked, strict=True)]
        )
        thresholds = np.concatenate(
            [t.threshold[inner] for t, inner in zip(forest.trees, asked, strict=True)]
        )
        self._known = [np.unique(thresholds[features == column]) for column in range(columns)]

    def of(self, encoded: np.ndarray) -> np.ndarray:
        """Rows of values as rows of ranks; missing ones stay NaN."""
        if self.forest.single:
            encoded = encoded.astype(np.float32).astype(np.float64)
        side: Literal["left", "right"] = "right" if self.forest.strict else "left"
        ranks = np.empty(encoded.shape)
        for column, known in enumerate(self._known):
            ranks[:, column] = np.searchsorted(known, encoded[:, column], side=side)
        ranks[np.isnan(encoded)] = np.nan
        return ranks

    def trees(self) -> list[dict[str, Any]]:
        """The trees in ranks, in the form that shap reads."""
        return [self._ranked(tree) for tree in self.forest.trees]

    def _ranked(self, tree: Tree) -> dict[str, Any]:
        thresholds = np.zeros(len(tree.left))
        for node in np.flatnonzero(tree.left >= 0):
            known = self._known[tree.feature[node]]
            thresholds[node] = np.searchsorted(known, tree.threshold[node])
        leaf = tree.left < 0
        return {
            "children_left": tree.left,
            "children_right": tree.right,
            "children_default": np.where(leaf, -1, tree.default),
            "features": np.where(leaf, -1, tree.feature),
            "thresholds": thresholds,
            "values": expectations(tree).reshape(-1, 1),
            "node_sample_weight": tree.weight.astype(np.float64),
        }


def expectations(tree: Tree) -> np.ndarray:
    """The mean of the leaves below each node, by the weights of training."""
    values, order = tree.value.astype(np.float64).copy(), [0]
    for node in order:
        if tree.left[node] >= 0:
            order += [int(tree.left[node]), int(tree.right[node])]
    for node in reversed(order):
        if tree.left[node] >= 0:
            left, right = tree.left[node], tree.right[node]
            weights = tree.weight[left], tree.weight[right]
            total = weights[0] + weights[1]
            values[node] = (values[left] * weights[0] + values[right] * weights[1]) / total
    return values

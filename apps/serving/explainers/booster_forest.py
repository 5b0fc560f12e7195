"""The trees of an XGBoost booster, read from what it saves of itself."""

import json
from typing import Any

import numpy as np

from apps.serving.errors import LoadError
from apps.serving.explainers.forest import Forest, Tree, with_sets


def xgboost_forest(
    booster: Any, rounds: tuple[int, int], target: int, classes: int, codes: dict[int, int]
) -> Forest:
    """The trees that answer for one class or output, in the margin, without the base score.

    `codes` says how many categories each categorical column has. Raises LoadError where the
    booster is not made of trees of one number a leaf.
    """
    learner = json.loads(bytes(booster.save_raw("json")))["learner"]
    boosting = learner["gradient_booster"]
    if boosting["name"] not in ("gbtree", "dart"):
        raise LoadError(f"A booster of {boosting['name']} is not made of trees")
    weights = boosting.get("weight_drop")
    model = boosting["model"] if "model" in boosting else boosting["gbtree"]["model"]
    if any(int(each["tree_param"]["size_leaf_vector"]) > 1 for each in model["trees"]):
        raise LoadError("The trees have several numbers a leaf, one per output")
    last = model["iteration_indptr"][rounds[1]] if rounds[1] else len(model["trees"])
    column = target if classes > 2 or not classes else 0
    sign = -1.0 if classes == 2 and target == 0 else 1.0
    trees = [
        _tree(model["trees"][at], sign * (weights[at] if weights else 1.0), codes)
        for at in range(last)
        if model["tree_info"][at] == column
    ]
    return Forest(trees, 0.0, single=True, strict=True)


def _tree(saved: dict[str, Any], scale: float, codes: dict[int, int]) -> Tree:
    left = np.array(saved["left_children"], dtype=np.int64)
    right = np.array(saved["right_children"], dtype=np.int64)
    leaf = left < 0
    condition = np.array(saved["split_conditions"], dtype=np.float32).astype(np.float64)
    tree = Tree(
        left,
        right,
        np.where(np.array(saved["default_left"], dtype=bool), left, right),
        np.where(leaf, -1, np.array(saved["split_indices"], dtype=np.int64)),
        condition,
        np.where(leaf, condition * scale, 0.0),
        np.array(saved["sum_hessian"], dtype=np.float64),
    )
    sets = _sets(saved, tree, codes)
    return _strict(with_sets(tree, sets), tree, sets) if sets else tree


def _sets(saved: dict[str, Any], tree: Tree, codes: dict[int, int]) -> dict[int, np.ndarray]:
    """Which codes go left at nodes that ask for a category: those that the node does not name."""
    named = saved.get("categories_nodes") or []
    found = {}
    for at, node in enumerate(named):
        start, size = saved["categories_segments"][at], saved["categories_sizes"][at]
        chosen = saved["categories"][start : start + size]
        known = max(codes.get(int(tree.feature[node]), 0), max(chosen, default=0) + 1)
        goes_left = np.ones(known, dtype=bool)
        goes_left[chosen] = False
        found[int(node)] = goes_left
    return found


def _strict(chained: Tree, tree: Tree, sets: dict[int, np.ndarray]) -> Tree:
    """Chains ask for codes up to and with a number; here every question is "less than"."""
    columns = {int(tree.feature[node]) for node in sets}
    asks = np.isin(chained.feature, list(columns)) & (chained.left >= 0)
    threshold = np.where(asks, chained.threshold + 0.5, chained.threshold)
    return Tree(
        chained.left,
        chained.right,
        chained.default,
        chained.feature,
        threshold,
        chained.value,
        chained.weight,
    )

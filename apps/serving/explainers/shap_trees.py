"""SHAP values of trees by shap's TreeExplainer, path-dependent and interventional.

Lundberg et al., "From local explanations to global understanding with explainable AI for trees",
Nature Machine Intelligence 2 (2020).
"""

import warnings
from importlib.util import find_spec
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from apps.serving.errors import LoadError
from apps.serving.explainers.base import Background, Budget
from apps.serving.explainers.contributions import EXACT, SINGLE, ContributionExplainer, Found
from apps.serving.explainers.forest import Forest
from apps.serving.explainers.grouping import summed
from apps.serving.explainers.ranks import Ranks, expectations
from apps.serving.explainers.subject import Subject


class TreeContributions(ContributionExplainer):
    """Contributions of the raw features; the columns of one feature are added up."""

    def __init__(self, subject: Subject, settings: dict[str, Any], seed: int) -> None:
        super().__init__(subject, settings, seed)
        self.groups = subject.groups()
        self._made: dict[int, _Trees] = {}
        self._reference: np.ndarray | None = None
        self.tolerance = SINGLE if getattr(subject, "single", False) else EXACT

    @classmethod
    def suits(cls, subject: Subject, background: Background | None) -> str:
        if find_spec("shap") is None:
            return "The model's environment has no shap; add shap==0.51.* to its packages"
        try:
            forest = getattr(subject, "forest", None)
            if forest is None:
                return "The model is not made of trees that can be read"
            forest(subject.target or 0)
            subject.groups()
        except LoadError as error:
            return error.message
        return ""

    def fit(self, background: Background) -> None:
        super().fit(background)
        if self.subject.target is not None:
            self._trees(self.subject)

    def contributions(
        self, subject: Subject, frame: pd.DataFrame, prepared: Any, budget: Budget
    ) -> Found:
        values, base = self._trees(subject).contributions(subject.encoded_of(prepared))
        return Found(summed(values, self.groups), np.full(len(frame), base))

    def _trees(self, subject: Any) -> "_Trees":
        target = subject.target or 0
        if target not in self._made:
            made = _Trees(subject.forest(target), self.groups, self._reference)
            if self._reference is not None and self.background is not None:
                made.base = float(subject.scores(self.background.frame).mean())
            self._made[target] = made
        return self._made[target]


class TreeExplainer(TreeContributions):
    """Expectations by the rows of training that passed each node; needs no background."""

    method: ClassVar[str] = "shap.tree"

    @classmethod
    def suits(cls, subject: Subject, background: Background | None) -> str:
        if hasattr(subject, "native_contributions"):
            return "The library computes these values itself; use shap.native"
        return super().suits(subject, background)


class InterventionalExplainer(TreeContributions):
    """Expectations over the background: the Shapley values of replacing features by its rows."""

    method: ClassVar[str] = "shap.interventional"

    @classmethod
    def suits(cls, subject: Subject, background: Background | None) -> str:
        if background is not None and len(background.frame) == 0:
            return "The background has no rows"
        return super().suits(subject, background)

    def fit(self, background: Background) -> None:
        self._made.clear()
        self._reference = self.subject.encoded(background.frame)
        super().fit(background)


class _Trees:
    """shap's explainer of one score, on ranks."""

    def __init__(
        self, forest: Forest, groups: list[list[int]], reference: np.ndarray | None
    ) -> None:
        shap = shap_library()
        width = sum(len(group) for group in groups)
        lone = [tree for tree in forest.trees if len(tree.left) == 1]
        kept = [tree for tree in forest.trees if len(tree.left) > 1]
        self.base = forest.base + sum(float(tree.value[0]) for tree in lone)
        self.width, self.explainer = width, None
        if not kept:  # a constant model: no feature counts
            return
        self.ranks = Ranks(Forest(kept, self.base, forest.single, forest.strict), width)
        trees = {"trees": self.ranks.trees(), "base_offset": 0.0, "tree_output": "raw_value"}
        if reference is None:
            self.base += sum(float(expectations(tree)[0]) for tree in kept)
            self.explainer = shap.TreeExplainer(trees, feature_perturbation="tree_path_dependent")
            return
        rows = self.ranks.of(reference)
        # Without the size, shap takes a random hundred of the rows.
        masker = shap.maskers.Independent(rows, max_samples=len(rows))
        self.explainer = shap.TreeExplainer(
            trees, masker, feature_perturbation="interventional", model_output="raw"
        )

    def contributions(self, encoded: np.ndarray) -> tuple[np.ndarray, float]:
        """(n, columns) and the base value; the caller checks the sum against the model."""
        if self.explainer is None:
            return np.zeros(encoded.shape), self.base
        values = self.explainer.shap_values(self.ranks.of(encoded), check_additivity=False)
        return np.asarray(values).reshape(encoded.shape), self.base


def shap_library() -> Any:
    """shap, which sets up colours as it is imported, in a way that its plots' library regrets."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import shap
    return shap

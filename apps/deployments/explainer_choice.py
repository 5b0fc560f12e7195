"""Which methods are offered for a model version, in which order, in words and with their cost.

Told by the framework, the metadata and the names in the file, without loading it: the explainer
itself refuses at its start what does not suit, in a sentence.
"""

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from apps.deployments.explainers import reference_of
from apps.deployments.input_sides import SEVERAL, sides_of
from apps.registry import storage
from apps.registry.models import ModelVersion
from apps.serving.explainers import EXPLAINERS
from apps.serving.methods import WITHOUT_BACKGROUND

_READ_BYTES = 4 * 1024**2
_FEW_FEATURES = 10
_TREES = (
    *(b"GradientBoosting", b"RandomForest", b"ExtraTrees", b"DecisionTreeClassifier"),
    *(b"DecisionTreeRegressor", b"ExtraTree"),
)
_LINEAR = (
    *(b"LogisticRegression", b"LinearRegression", b"Ridge", b"Lasso", b"ElasticNet"),
    *(b"SGDClassifier", b"SGDRegressor", b"LinearSVC", b"LinearDiscriminantAnalysis"),
    *(b"PoissonRegressor", b"GammaRegressor", b"TweedieRegressor"),
)
_BOOSTERS = {
    ModelVersion.Framework.XGBOOST,
    ModelVersion.Framework.LIGHTGBM,
    ModelVersion.Framework.CATBOOST,
}
_NETWORKS = {ModelVersion.Framework.PYTORCH, ModelVersion.Framework.TENSORFLOW}
_TAKES_TENSORS = _NETWORKS | {ModelVersion.Framework.ONNX, ModelVersion.Framework.MLFLOW}
_PICTURES = (2, 3)
_OF_TABLES = (
    "Methods for tables (SHAP by permutation, LIME, anchors, counterfactuals, partial dependence)"
)
COSTS = {
    "instant": "some milliseconds",
    "quick": "some tens of milliseconds",
    "moderate": "some hundred milliseconds",
    "slow": "seconds",
}


@dataclass(frozen=True, slots=True)
class Words:
    """A method for people: its name, what it answers, and the class of its cost."""

    name: str
    answers: str
    cost: str


WORDS = {
    "shap.native": Words("SHAP, by the library", "what moved the answer, and how far", "instant"),
    "shap.tree": Words("SHAP for trees", "what moved the answer, and how far", "instant"),
    "shap.interventional": Words(
        "SHAP for trees, against the background", "what moved the answer, and how far", "quick"
    ),
    "shap.linear": Words("SHAP for linear models", "what moved the answer, and how far", "instant"),
    "shap.exact": Words("SHAP, exact", "what moved the answer, and how far", "moderate"),
    "shap.permutation": Words(
        "SHAP by permutation", "what moved the answer, and how far, with its error", "moderate"
    ),
    "lime": Words("LIME", "what counts near this case, by a simpler model", "moderate"),
    "anchors": Words("Anchors", "a rule that holds for cases like this one", "quick"),
    "counterfactuals": Words(
        "Counterfactuals (MACE)", "what would have led to another answer", "moderate"
    ),
    "partial_dependence": Words(
        "Partial dependence", "how the answer follows each feature", "moderate"
    ),
    "integrated_gradients": Words(
        "Integrated gradients", "what moved the answer, and how far", "quick"
    ),
    "saliency": Words("Saliency", "where the model looks", "quick"),
    "occlusion": Words("Occlusion", "which parts of a picture the answer hangs on", "slow"),
    "reason_codes": Words("Reason codes", "the principal reasons, by a catalogue", "quick"),
    "rules": Words("Rules", "which of the expert's rules fired", "instant"),
}


@dataclass(frozen=True, slots=True)
class Proposal:
    """One method for one version. `missing` says what it lacks; empty where it can be chosen."""

    method: str
    words: Words
    recommended: bool
    missing: str = ""

    @property
    def label(self) -> str:
        return f"{self.words.name}: {self.words.answers} ({COSTS[self.words.cost]})"


def proposals(version: ModelVersion | None, *, background: bool = False) -> list[Proposal]:
    """The methods for a version, the most telling first; those to begin with are recommended.

    `background` says that rows of its own are given, where the version has no reference data.
    """
    if version is None or version.framework in ("custom", "external"):
        return []
    has_rows = background or reference_of(version) is not None
    return [
        Proposal(
            method,
            WORDS[method],
            recommended=recommended and (has_rows or method in WITHOUT_BACKGROUND),
            missing="" if has_rows or method in WITHOUT_BACKGROUND else "needs a background",
        )
        for method, recommended in _methods(version)
        if method in EXPLAINERS
    ]


def left_out(version: ModelVersion | None) -> str:
    """Why methods that others have are not among the proposals, in words; empty where all are."""
    if version is None:
        return ""
    sides = _sides(version)
    if sides == SEVERAL:
        return (
            "The model takes several inputs and names no features, which no method here explains. "
            "A module of your own can; or name the features in the version's metadata."
        )
    if sides is not None and sides > 1:
        what = "pictures" if sides in _PICTURES else f"tensors of {sides} sides"
        why = f"{_OF_TABLES} change one feature at a time, and this model takes {what}."
        more = " Integrated gradients and saliency need a PyTorch or TensorFlow model."
        return why if version.framework in _NETWORKS else why + more
    if _is_nameless_network(version):
        return f"{_OF_TABLES} need features with names: give them in the version's metadata."
    return ""


def _sides(version: ModelVersion) -> int | None:
    """Those of an instance; 1 for a row of a table, None where nothing tells."""
    if version.metadata.get("features") or version.framework not in _TAKES_TENSORS:
        return 1
    sides = sides_of(version)
    # Objects are rows to MLflow, and inputs by name to the others.
    is_table = sides == SEVERAL and version.framework == ModelVersion.Framework.MLFLOW
    return 1 if is_table else sides


def _is_nameless_network(version: ModelVersion) -> bool:
    return version.framework in _NETWORKS and not version.metadata.get("features")


def _methods(version: ModelVersion) -> Iterator[tuple[str, bool]]:
    sides = _sides(version)
    if sides == SEVERAL:
        return
    if _is_nameless_network(version):
        yield from (("integrated_gradients", True), ("saliency", True))
        if sides in (None, *_PICTURES):
            yield ("occlusion", False)
        return
    if sides is not None and sides > 1:
        if sides in _PICTURES:
            yield ("occlusion", True)
        return
    yield from _contributing(version, version.metadata.get("features") or [])
    yield ("counterfactuals", True)
    yield ("anchors", False)
    yield ("lime", False)
    yield ("partial_dependence", False)


def _contributing(
    version: ModelVersion, features: list[dict[str, Any]]
) -> Iterator[tuple[str, bool]]:
    """The methods that split the answer among the features; one of them is recommended."""
    sampling = "shap.exact" if 0 < len(features) <= _FEW_FEATURES else "shap.permutation"
    if version.framework in _BOOSTERS:
        yield ("shap.native", True)
        if version.framework != ModelVersion.Framework.CATBOOST:
            yield ("shap.interventional", False)
    elif version.framework in _NETWORKS:
        yield ("integrated_gradients", True)
    elif version.framework == ModelVersion.Framework.SKLEARN:
        names = _names_in(version)
        trees = any(name in names for name in _TREES)
        linear = any(name in names for name in _LINEAR) and not trees
        if trees:
            yield ("shap.tree", True)
            yield ("shap.interventional", False)
        elif linear:
            yield ("shap.linear", True)
        yield (sampling, not trees and not linear)
        return
    yield (sampling, version.framework not in _BOOSTERS | _NETWORKS)


def _names_in(version: ModelVersion) -> bytes:
    """The part of a file in which the names of its classes stand; nothing is loaded."""
    if version.artifact is None:
        return b""
    path = storage.path_of(version.artifact.sha256)
    try:
        if version.format == "skops":
            with zipfile.ZipFile(path) as archive, archive.open("schema.json") as file:
                return file.read(_READ_BYTES)
        with path.open("rb") as file:
            return file.read(_READ_BYTES)
    except (OSError, KeyError, zipfile.BadZipFile):
        return b""

"""One file per method, one row in the table: how an explanation of a served model is made."""

from importlib import import_module
from typing import Any

from apps.serving.errors import BadRequest

_HERE = "apps.serving.explainers"
EXPLAINERS = {
    "shap.native": "native_trees:NativeExplainer",
    "shap.tree": "shap_trees:TreeExplainer",
    "shap.interventional": "shap_trees:InterventionalExplainer",
    "shap.linear": "shap_linear:LinearExplainer",
    "shap.exact": "shap_sampling:ExactExplainer",
    "shap.permutation": "shap_sampling:PermutationExplainer",
    "integrated_gradients": "gradients:IntegratedGradientsExplainer",
    "saliency": "gradients:SaliencyExplainer",
    "occlusion": "occlusion:OcclusionExplainer",
    "lime": "lime_tabular:LimeTabular",
    "anchors": "anchors:Anchors",
    "counterfactuals": "counterfactuals:Counterfactuals",
    "partial_dependence": "dependence:PartialDependence",
    "reason_codes": "reason_codes:ReasonCodes",
    "rules": "rules:Rules",
    "custom": "custom:Custom",
}


def explainer_class(method: str) -> Any:
    """The class of a method; raises BadRequest with those that are known."""
    if method not in EXPLAINERS:
        known = ", ".join(sorted(EXPLAINERS))
        raise BadRequest(f"There is no method {method}; known are {known}")
    module, _, name = EXPLAINERS[method].partition(":")
    return getattr(import_module(f"{_HERE}.{module}"), name)

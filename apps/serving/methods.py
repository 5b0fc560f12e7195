"""What is known of the methods of explainers without loading any."""

CUSTOM = "custom"
# They take what they compare with from the model itself, or compare with nothing.
WITHOUT_BACKGROUND = frozenset(
    {
        *("shap.native", "shap.tree", "rules", "reason_codes", CUSTOM),
        *("integrated_gradients", "saliency", "occlusion"),
    }
)

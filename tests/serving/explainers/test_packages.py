"""Which packages the explainer's server itself may ask for: environments of PyTorch, TensorFlow
and ONNX have neither scipy nor scikit-learn."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
METHODS = ("saliency", "integrated_gradients", "occlusion", "rules", "shap.native", "custom")
CODE = f"""
import sys
sys.modules.update(dict.fromkeys(["scipy", "sklearn", "shap", "lime"]))
import apps.serving.explainer
from apps.serving.explainers import explainer_class
for method in {METHODS}:
    explainer_class(method)
"""


def test_it_starts_without_what_a_framework_may_lack() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr

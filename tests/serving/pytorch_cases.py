"""PyTorch models as people bring them; runs in the environment of PyTorch."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from tests.serving import pytorch_modules
from tests.serving.cases import PROBABILITIES, Fitted

SINGLE = 1e-6
DIGITS = Path(__file__).resolve().parents[2] / "fixtures" / "digits.npz"
NAMES = ("income", "age", "rate")


def _torchscript(fitted: Fitted, path: Path) -> None:
    """Without the files for debuggers, which name the folders of whoever saved the model."""
    whole = path.with_suffix(".whole")
    torch.jit.script(fitted.model).save(str(whole))
    with zipfile.ZipFile(whole) as source, zipfile.ZipFile(path, "w") as archive:
        for name in source.namelist():
            if not name.endswith(".debug_pkl"):
                archive.writestr(name.replace(whole.stem, "model", 1), source.read(name))
    whole.unlink()


def _exported(fitted: Fitted, path: Path) -> None:
    inputs = _tensors(fitted)
    if fitted.metadata.get("batch") == 1:
        program = torch.export.export(fitted.model, tuple(each[:1] for each in inputs))
    else:
        rows = torch.export.Dim("rows", min=1)
        shapes = tuple({0: rows} for _ in inputs)
        program = torch.export.export(fitted.model, tuple(inputs), dynamic_shapes=shapes)
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # which names folders, too
    named = path.with_suffix(".pt2")
    torch.export.save(program, named)
    named.rename(path)


def _state_dict(fitted: Fitted, path: Path) -> None:
    weights = path.with_suffix(".weights")
    torch.save(fitted.model.state_dict(), weights)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(weights, "scorer/state_dict.pt")
        archive.write(pytorch_modules.__file__, "scorer/module.py")
    weights.unlink()


FORMATS = {
    "torchscript": _torchscript,
    "torch-export": _exported,
    "torch-state-dict": _state_dict,
}


def _tensors(fitted: Fitted) -> list[torch.Tensor]:
    """The instances as the arguments of the module."""
    kinds = {"FP64": torch.float64, "INT64": torch.int64}
    kind = kinds.get(fitted.metadata.get("inputDatatype", ""), torch.float32)
    if isinstance(fitted.instances[0], dict) and "features" not in fitted.metadata:
        names = list(fitted.instances[0])
        return [torch.tensor([row[name] for row in fitted.instances]) for name in names]
    rows = [list(row.values()) if isinstance(row, dict) else row for row in fitted.instances]
    return [torch.tensor(rows, dtype=kind)]


def _asked(
    model: nn.Module, instances: list[Any], tolerance: float = SINGLE, **meta: Any
) -> Fitted:
    """The module's own answers, without what the metadata asks for beyond them."""
    model.eval()
    asked = meta.pop("pytorch", {}) | {"class": type(model).__name__}
    fitted = Fitted(model, instances, None, meta | {"pytorch": asked}, tolerance)
    with torch.inference_mode():
        found = model(*_tensors(fitted))
    return Fitted(model, instances, found, fitted.metadata, tolerance)


def _with(fitted: Fitted, expected: Any) -> Fitted:
    plain = expected.tolist() if isinstance(expected, torch.Tensor) else expected
    return Fitted(fitted.model, fitted.instances, plain, fitted.metadata, fitted.tolerance)


def _trained_on_digits() -> tuple[nn.Module, list[Any]]:
    with np.load(DIGITS) as data:
        images = torch.tensor(data["images"], dtype=torch.float32).unsqueeze(1)
        labels = torch.tensor(data["labels"], dtype=torch.int64)
    torch.manual_seed(3)
    model = pytorch_modules.Digits()
    optimiser = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(40):
        optimiser.zero_grad()
        nn.functional.cross_entropy(model(images[:1400]), labels[:1400]).backward()
        optimiser.step()
    right = (model(images[1400:]).argmax(1) == labels[1400:]).float().mean()
    assert right > 0.85, f"the classifier learned nothing: {right}"
    return model, images[1400:1406].tolist()


def digits() -> Fitted:
    model, images = _trained_on_digits()
    asked = {"problemType": PROBABILITIES, "outputActivation": "softmax"}
    fitted = _asked(model, images, inputTensorShape=[1, 8, 8], **asked)
    return _with(fitted, torch.softmax(fitted.expected, 1))


def digits_as_classes() -> Fitted:
    model, images = _trained_on_digits()
    fitted = _asked(model, images, inputTensorShape=[-1, 1, 8, 8], problemType="classification")
    return _with(fitted, fitted.expected.argmax(1))


def raw_scores() -> Fitted:
    """Without a word in the metadata the answer is what the module gives."""
    torch.manual_seed(5)
    model = pytorch_modules.Digits(width=2)
    fitted = _asked(model, torch.rand(3, 1, 8, 8).tolist(), pytorch={"arguments": {"width": 2}})
    return _with(fitted, fitted.expected)


def _rows(count: int = 6, dtype: torch.dtype = torch.float32) -> list[dict[str, float]]:
    torch.manual_seed(7)
    return [
        dict(zip(NAMES, row, strict=True)) for row in torch.rand(count, 3, dtype=dtype).tolist()
    ]


FEATURES = [{"name": name, "type": "number"} for name in NAMES]


def named_columns() -> Fitted:
    torch.manual_seed(1)
    fitted = _asked(pytorch_modules.Columns(), _rows(), features=FEATURES, problemType="regression")
    return _with(fitted, fitted.expected)


def double_precision() -> Fitted:
    torch.manual_seed(1)
    rows = _rows(dtype=torch.float64)
    meta: dict[str, Any] = {"features": FEATURES, "inputDatatype": "FP64"}
    fitted = _asked(pytorch_modules.Columns().double(), rows, 1e-12, **meta)
    # A state dict does not say its precision in the module file: the weights decide.
    return _with(fitted, fitted.expected)


def one_number_as_probability() -> Fitted:
    torch.manual_seed(2)
    asked = {"problemType": PROBABILITIES, "outputActivation": "sigmoid"}
    fitted = _asked(pytorch_modules.Columns(), _rows(), features=FEATURES, **asked)
    chance = torch.sigmoid(fitted.expected)
    return _with(fitted, torch.cat([1 - chance, chance], 1))


def several_inputs_and_outputs() -> Fitted:
    torch.manual_seed(4)
    instances = [
        {"image": torch.rand(2, 2).tolist(), "factor": torch.rand(1).tolist()} for _ in range(5)
    ]
    shapes = {"image": [2, 2], "factor": [1]}
    fitted = _asked(pytorch_modules.Mixed(), instances, inputTensorShape=shapes)
    scores, total = (fitted.expected[name].tolist() for name in ("scores", "total"))
    pairs = zip(scores, total, strict=True)
    return _with(fitted, [{"scores": one, "total": other} for one, other in pairs])


def sequences_of_tokens() -> Fitted:
    torch.manual_seed(6)
    rows = torch.randint(0, 20, (4, 7)).tolist()
    fitted = _asked(pytorch_modules.Tokens(), rows, inputDatatype="INT64", inputTensorShape=[7])
    return _with(fitted, fitted.expected)


def one_row_at_a_time() -> Fitted:
    """Exported for a batch of one, as happens when nobody says that the batch may grow."""
    torch.manual_seed(8)
    fitted = _asked(pytorch_modules.Columns(), _rows(), features=FEATURES, batch=1)
    return _with(fitted, fitted.expected)


CASES = (
    digits,
    digits_as_classes,
    named_columns,
    several_inputs_and_outputs,
    sequences_of_tokens,
    double_precision,
    one_number_as_probability,
    one_row_at_a_time,
    raw_scores,
)

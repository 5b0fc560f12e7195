"""TensorFlow models: SavedModel folders with a signature, and models of Keras in one file."""

import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")  # the same sums on every processor
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import keras  # noqa: E402
import tensorflow as tf  # noqa: E402

from apps.serving.errors import LoadError  # noqa: E402
from apps.serving.loaders.base import first_line  # noqa: E402
from apps.serving.loaders.folders import folder_of  # noqa: E402
from apps.serving.loaders.tensors import Tensor, TensorModel  # noqa: E402
from apps.serving.spec import ServerSpec  # noqa: E402

_SIGNATURE = "serving_default"


def load(spec: ServerSpec) -> TensorModel:
    """Reads the model in its format; raises LoadError where it is none."""
    with suppress(RuntimeError):  # where TensorFlow has begun its threads already
        tf.config.threading.set_intra_op_parallelism_threads(spec.limits.threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    readers = {"saved-model": _saved_model, "keras": _keras}
    if spec.format not in readers:
        raise LoadError(f"The format {spec.format} is none of TensorFlow's: {', '.join(readers)}")
    return readers[spec.format](spec)


def _saved_model(spec: ServerSpec) -> TensorModel:
    folder = folder_of(spec)
    try:
        loaded = tf.saved_model.load(str(folder))
    except Exception as error:
        raise LoadError(_cannot("the SavedModel", error)) from error
    signatures = dict(loaded.signatures)
    wanted = (spec.metadata.get("tensorflow") or {}).get("signature") or _SIGNATURE
    if wanted not in signatures:
        raise LoadError(
            f"The SavedModel has no signature {wanted}; it has {', '.join(signatures) or 'none'}. "
            'Name the one to serve as "tensorflow": {"signature": "…"} in the metadata, or save '
            "the model with model.export"
        )
    function = signatures[wanted]
    inputs = [_tensor(name, each) for name, each in function.structured_input_signature[1].items()]
    outputs = [_tensor(name, each) for name, each in function.structured_outputs.items()]

    def call(*tensors: Any) -> Any:
        named = {each.name: tensor for each, tensor in zip(inputs, tensors, strict=True)}
        return function(**named)

    return _model(spec, call, inputs, outputs, keep=loaded, estimator=wanted)


def _keras(spec: ServerSpec) -> TensorModel:
    """Keras knows its files by their ending, so a link with one leads to the artifact."""
    link = Path(tempfile.mkdtemp(prefix="model-")) / "model.keras"
    link.symlink_to(Path(spec.artifact).absolute())
    try:
        model = keras.saving.load_model(
            link, compile=False, safe_mode="Lambda" not in spec.trusted_types
        )
        inputs = _keras_inputs(model)
    except Exception as error:
        raise LoadError(_cannot("the Keras model", error)) from error
    names = list(getattr(model, "output_names", None) or [])

    def forward(*tensors: Any) -> Any:
        named = {each.name: tensor for each, tensor in zip(inputs, tensors, strict=True)}
        result = model(named if len(inputs) > 1 else tensors[0], training=False)
        if isinstance(result, list | tuple) and len(result) == len(names):
            return dict(zip(names, result, strict=True))
        return result

    specs = [
        tf.TensorSpec([None if side < 0 else side for side in each.shape], each.dtype)
        for each in inputs
    ]
    call = tf.function(forward, input_signature=specs)
    return _model(spec, call, inputs, [], keep=model, estimator=type(model).__name__)


def _keras_inputs(model: Any) -> list[Tensor]:
    """The inputs under the names by which the model takes them."""
    flat = list(model.inputs)
    struct = getattr(model, "_inputs_struct", None)
    keys = list(struct) if isinstance(struct, dict) else [each.name for each in flat]
    found = struct.values() if isinstance(struct, dict) else flat
    return [
        Tensor(key, np.dtype(each.dtype) if each.dtype != "string" else np.dtype(object),
               _shape(each.shape))
        for key, each in zip(keys, found, strict=True)
    ]  # fmt: skip


def _model(
    spec: ServerSpec,
    call: Any,
    inputs: list[Tensor],
    outputs: list[Tensor],
    *,
    keep: Any,
    estimator: str,
) -> TensorModel:
    """`keep` owns the variables: without it they are gone while the function lives."""

    def run(arrays: list[np.ndarray], _owner: Any = keep) -> dict[str, np.ndarray]:
        tensors = [
            tf.constant(array, dtype=tf.string if array.dtype == object else array.dtype)
            for array in arrays
        ]
        return {name: _numpy(value) for name, value in _outputs(call(*tensors)).items()}

    def slopes(array: np.ndarray, name: str, place: int) -> np.ndarray:
        given = tf.constant(array)
        with tf.GradientTape() as tape:
            tape.watch(given)
            found = _outputs(call(given))
            values = found[name] if name else next(iter(found.values()))
            picked = tf.reduce_sum(tf.reshape(values, (len(array), -1))[:, place])
        return np.asarray(tape.gradient(picked, given).numpy())

    about = {
        "framework": "tensorflow",
        "frameworkVersion": tf.__version__,
        "estimator": estimator,
        "featureCount": None,
    }
    fixed = max([each.shape[0] for each in inputs if each.shape], default=-1)
    return TensorModel(
        spec,
        inputs,
        outputs,
        run,
        about=about,
        batch=max(fixed, 0),
        native=keep,
        slopes=slopes,
    )


def _outputs(result: Any) -> dict[str, Any]:
    """The outputs by name: keys, or positions."""
    if isinstance(result, dict):
        return {str(name): value for name, value in result.items()}
    if isinstance(result, list | tuple):
        return {f"output_{number}": value for number, value in enumerate(result)}
    return {"output": result}


def _numpy(value: Any) -> np.ndarray:
    """Texts as str; bfloat16, which numpy lacks, as float32."""
    if value.dtype == tf.bfloat16:
        value = tf.cast(value, tf.float32)
    found = np.asarray(value.numpy())
    if found.dtype == object:
        found = np.array([each.decode(errors="replace") for each in found.flat], dtype=object)
        return found.reshape(value.shape)
    return found


def _tensor(name: str, each: Any) -> Tensor:
    kind = np.dtype(object) if each.dtype == tf.string else np.dtype(each.dtype.as_numpy_dtype)
    return Tensor(name, kind, _shape(each.shape))


def _shape(sides: Any) -> tuple[int, ...]:
    """Empty where not even the number of sides is known."""
    if getattr(sides, "rank", 0) is None:
        return ()
    return tuple(-1 if side is None else int(side) for side in sides)


def _cannot(what: str, error: Exception) -> str:
    why = f"{type(error).__name__}: {first_line(error)[:600]}"
    return f"TensorFlow {tf.__version__} cannot read {what}: {why}"

"""TensorFlow models as people bring them; runs in the environment of TensorFlow."""

import os
import shutil
import tempfile
import zipfile
from pathlib import Path
from typing import Any

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"

import keras  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

from tests.serving.cases import PROBABILITIES, Fitted  # noqa: E402

SINGLE = 1e-6
DIGITS = Path(__file__).resolve().parents[2] / "fixtures" / "digits.npz"
NAMES = ("income", "age", "rate")


def _saved_model(fitted: Fitted, path: Path) -> None:
    """A zip with one folder in it, as file managers pack them."""
    folder = Path(tempfile.mkdtemp())
    if isinstance(fitted.model, keras.Model):
        fitted.model.export(folder / "scorer", verbose=False)
    else:
        tf.saved_model.save(fitted.model, str(folder / "scorer"))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for each in sorted(folder.rglob("*")):
            archive.write(each, each.relative_to(folder))
    shutil.rmtree(folder)


def _keras(fitted: Fitted, path: Path) -> None:
    named = path.with_suffix(".keras")
    fitted.model.save(named)
    named.rename(path)


FORMATS = {"saved-model": _saved_model, "keras": _keras}


def _trained_on_digits() -> tuple[Any, np.ndarray]:
    with np.load(DIGITS) as data:
        images, labels = data["images"][..., None].astype("float32"), data["labels"]
    keras.utils.set_random_seed(3)
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1), name="image"),
            keras.layers.Rescaling(1 / 16),
            keras.layers.Conv2D(8, 3, activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(images[:1400], labels[:1400], epochs=6, batch_size=32, verbose=0)
    _, right = model.evaluate(images[1400:], labels[1400:], verbose=0)
    assert right > 0.85, f"the classifier learned nothing: {right}"
    return model, images[1400:1406]


def digits() -> Fitted:
    model, images = _trained_on_digits()
    expected = np.asarray(model(images))
    return Fitted(model, images.tolist(), expected, {"problemType": PROBABILITIES}, SINGLE)


def digits_as_classes() -> Fitted:
    model, images = _trained_on_digits()
    labels = np.asarray(model(images)).argmax(1)
    return Fitted(model, images.tolist(), labels, {"problemType": "classification"}, SINGLE)


def named_columns() -> Fitted:
    """One input of several columns; the metadata names them."""
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    values = np.random.default_rng(1).random((6, 3)).astype("float32")
    rows = [dict(zip(NAMES, row, strict=True)) for row in values.tolist()]
    features = [{"name": name, "type": "number"} for name in NAMES]
    return Fitted(model, rows, np.asarray(model(values)), {"features": features}, SINGLE)


def columns_as_inputs() -> Fitted:
    """Every column an input of its own, in a model that has several outputs by name."""
    keras.utils.set_random_seed(2)
    inputs = {name: keras.Input((1,), name=name) for name in NAMES}
    joined = keras.layers.Concatenate()(list(inputs.values()))
    outputs = {"score": keras.layers.Dense(2)(joined), "level": keras.layers.Dense(1)(joined)}
    model = keras.Model(inputs, outputs)
    values = np.random.default_rng(2).random((5, 3)).astype("float32")
    answers = model({name: values[:, at : at + 1] for at, name in enumerate(NAMES)})
    rows = [dict(zip(NAMES, row, strict=True)) for row in values.tolist()]
    expected = [
        {name: np.asarray(answers[name][row]).tolist() for name in ("level", "score")}
        for row in range(5)
    ]
    features = [{"name": name, "type": "number"} for name in NAMES]
    return Fitted(model, rows, expected, {"features": features}, SINGLE)


def sequences_of_tokens() -> Fitted:
    keras.utils.set_random_seed(4)
    layers = [keras.Input((None,), dtype="int32"), keras.layers.Embedding(20, 4)]
    layers += [keras.layers.GlobalAveragePooling1D(), keras.layers.Dense(2)]
    model = keras.Sequential(layers)
    rows = np.random.default_rng(4).integers(0, 20, (4, 7))
    return Fitted(model, rows.tolist(), np.asarray(model(rows)), {}, SINGLE)


def one_number_as_probability() -> Fitted:
    keras.utils.set_random_seed(5)
    layers = [keras.Input((3,)), keras.layers.Dense(1, activation="sigmoid")]
    model = keras.Sequential(layers)
    values = np.random.default_rng(5).random((6, 3)).astype("float32")
    chance = np.asarray(model(values))
    expected = np.hstack([1 - chance, chance])
    return Fitted(model, values.tolist(), expected, {"problemType": PROBABILITIES}, SINGLE)


class _Double(tf.Module):
    """A module without Keras, in double precision."""

    @tf.function(input_signature=[tf.TensorSpec([None, 2], tf.float64, name="row")])
    def scored(self, row: Any) -> Any:
        return {"answer": tf.reduce_sum(tf.sin(row), axis=1)}


def a_function_in_double_precision() -> Fitted:
    module = _Double()
    values = np.random.default_rng(6).random((5, 2))
    return Fitted(
        module,
        values.tolist(),
        module.scored(tf.constant(values))["answer"].numpy(),
        {},
    )


CASES = (
    digits,
    digits_as_classes,
    named_columns,
    columns_as_inputs,
    sequences_of_tokens,
    one_number_as_probability,
    a_function_in_double_precision,
)

"""CatBoost models as .cbm or JSON, with named columns, categories and texts."""

import json
from pathlib import Path
from typing import Any

import catboost
import numpy as np

from apps.serving.errors import BadRequest, LoadError
from apps.serving.loaders.base import Rows, first_line, outputs_of, problem_type
from apps.serving.spec import ServerSpec

_FORMATS = {"catboost-cbm": "cbm", "catboost-json": "json"}


def load(spec: ServerSpec) -> "CatBoostModel":
    """Reads the model; raises LoadError where the file is none."""
    if spec.format not in _FORMATS:
        raise LoadError(f"The format {spec.format} is none of CatBoost's: {', '.join(_FORMATS)}")
    if spec.format == "catboost-json":
        _check_json(Path(spec.artifact))
    try:
        model = catboost.CatBoost().load_model(spec.artifact, format=_FORMATS[spec.format])
    except (catboost.CatBoostError, ValueError) as error:
        here = catboost.__version__
        why = first_line(error)
        raise LoadError(
            f'CatBoost {here} cannot read the model: {why}. Save it with save_model("model.cbm")'
        ) from error
    if model.tree_count_ is None:
        raise LoadError("The file holds no trained CatBoost model; save it after fit")
    return CatBoostModel(model, spec)


def _check_json(path: Path) -> None:
    """CatBoost itself loads a file that was cut off, and answers with what is left of it."""
    try:
        document = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise LoadError(f"The JSON is damaged or cut off: {first_line(error)}") from None
    if not isinstance(document, dict) or not {"features_info", "model_info"} <= document.keys():
        raise LoadError("The JSON is not in the form in which CatBoost saves models")


class CatBoostModel:
    """Trees on numbers, categories and texts. Labels are those of the training table."""

    advice = ""

    def __init__(self, model: catboost.CatBoost, spec: ServerSpec) -> None:
        self.model, self.threads = model, spec.limits.threads
        self.native = model
        self.categorical = set(model.get_cat_feature_indices())
        self.texts = set(model.get_text_feature_indices())
        self.classes = np.asarray(model.classes_).tolist()
        own = list(model.feature_names_ or [])
        features = spec.metadata.get("features") or []
        # Trained on an array, the names are the numbers of the columns.
        self.own = None if own == [str(number) for number in range(len(own))] else own
        self.width = len(own)
        self.names = [feature["name"] for feature in features] or self.own or []
        self._check_names()
        self.problem = self._problem(spec)
        plain = not self.categorical and not self.texts
        self._rows = Rows(self.names, np.float64 if plain else object)
        self._plain = plain

    def _problem(self, spec: ServerSpec) -> str:
        likely = "classificationWithProbabilities" if self.classes else "regression"
        problem = problem_type(spec.metadata, likely)
        if problem != "regression" and not self.classes:
            raise LoadError(
                "The model was trained to give numbers, not classes; set the problem type to "
                "regression"
            )
        return problem

    def _check_names(self) -> None:
        if self.own and self.names != self.own:
            different = sorted(set(self.own) ^ set(self.names)) or ["their order"]
            raise LoadError(
                "The features in the metadata are not those that the model was trained on; "
                f"different: {', '.join(different[:10])}"
            )
        if self.names and len(self.names) != self.width:
            raise LoadError(
                f"The metadata names {len(self.names)} features, the model takes {self.width}"
            )

    def predict(self, instances: list[Any]) -> list[Any]:
        """Class probabilities, labels or values, one per instance."""
        kinds = {
            "classification": "Class",
            "classificationWithProbabilities": "Probability",
            "regression": "RawFormulaVal",
        }
        data = self._rows.array(instances)
        kind = kinds[self.problem]
        if self.problem == "regression" and not self.classes:
            kind = self._exponent()
        try:
            pool = data if self._plain else self._pool(data)
            found = self.model.predict(pool, prediction_type=kind, thread_count=self.threads)
        except catboost.CatBoostError as error:
            raise BadRequest(f"The values do not suit the model: {first_line(error)}") from None
        found = np.asarray(found)
        if kind == "Class":
            found = found.reshape(len(instances), -1)
            found = found[:, 0] if found.shape[1] == 1 else found
        return outputs_of(found)

    def _exponent(self) -> str:
        """Poisson and Tweedie are trained on the logarithm; CatBoostRegressor gives the value."""
        loss = str(self.model.get_all_params().get("loss_function", ""))
        return "Exponent" if loss.partition(":")[0] in ("Poisson", "Tweedie") else "RawFormulaVal"

    def _pool(self, data: np.ndarray) -> catboost.Pool:
        rows = data.tolist()
        for at in self.categorical | self.texts:
            name = self.names[at] if self.names else at
            if any(row[at] is None for row in rows):
                raise BadRequest(f"The category of {name} is null; CatBoost takes none without one")
            for row in rows:
                row[at] = _category(row[at])
        return catboost.Pool(
            rows,
            cat_features=sorted(self.categorical),
            text_features=sorted(self.texts),
            feature_names=self.model.feature_names_,
        )

    def signature(self) -> dict[str, Any]:
        """Named columns, or one tensor of numbers."""
        inputs = [{"name": "input", "datatype": "FP64", "shape": [-1, self.width]}]
        if self.names:
            texts = self.categorical | self.texts
            inputs = [
                {"name": name, "datatype": "BYTES" if at in texts else "FP64", "shape": [-1]}
                for at, name in enumerate(self.names)
            ]
        output: dict[str, Any] = {"name": "predict", "datatype": "FP64", "shape": [-1]}
        targets = int(np.size(self.model.get_scale_and_bias()[1]))
        if self.problem == "regression" and targets > 1:
            output["shape"] = [-1, targets]
        if self.problem == "classificationWithProbabilities":
            output["shape"] = [-1, len(self.classes)]
        if self.problem == "classification":
            texts_too = any(isinstance(each, str) for each in self.classes)
            output["datatype"] = "BYTES" if texts_too else "INT64"
        return {"inputs": inputs, "outputs": [output]}

    def describe(self) -> dict[str, Any]:
        return {
            "framework": "catboost",
            "frameworkVersion": catboost.__version__,
            "estimator": str(self.model.get_all_params().get("loss_function", "")),
            "featureNames": self.own,
            "featureCount": self.width,
            "classes": self.classes or None,
            "probabilities": bool(self.classes),
        }


def _category(value: Any) -> Any:
    """As the library reads a table, where whole numbers are written without a fraction."""
    return int(value) if isinstance(value, float) and value.is_integer() else value

"""Models that take tensors as subjects: images, or named columns in one tensor."""

from typing import Any

import numpy as np

from apps.serving.errors import BadRequest
from apps.serving.explainers.subject import Subject, columns_of


class TensorSubject(Subject):
    """What the model gives before the activation that its metadata names is the score: logits.

    Without one, the score is what it answers: probabilities or values.
    """

    def _known_classes(self, described: dict[str, Any]) -> list[Any]:
        """The numbers of the outputs' places, where the example input has shown how many."""
        outputs = self.model.outputs
        if not outputs or outputs[0].dtype.kind != "f" or len(outputs[0].shape) > 2:
            return []
        return list(range(max(2, *outputs[0].shape[1:], 0)))

    def _unit(self) -> str:
        if not self.classes or not self._seen_through():
            return super()._unit()
        units = {"sigmoid": "log-odds", "softmax": "logit"}
        return units.get(self.model.activation, "margin")

    def _seen_through(self) -> bool:
        """True where the score is what the model gives itself, before it becomes an answer."""
        gives = self.model.outputs[0].dtype.kind if self.model.outputs else ""
        labels = self.problem == "classification" and gives == "f"
        return self.one_input and bool(self.model.activation or labels)

    @property
    def one_input(self) -> bool:
        """True where the model takes one tensor, of numbers."""
        inputs = self.model.inputs
        return len(inputs) == 1 and inputs[0].dtype.kind == "f"

    def tensor(self, instances: list[Any]) -> np.ndarray:
        """The one input's array, (n, …). Raises BadRequest where the instances do not fit."""
        if not self.one_input:
            raise BadRequest("The model takes several inputs, or none of fractions")
        array: np.ndarray = self.model.arrays(instances)[0]
        return array

    def raw_tensor(self, array: np.ndarray) -> np.ndarray:
        """(n, k) scores of every class or output."""
        found = self.model.run([array])
        values = found[self.model.picked] if self.model.picked else next(iter(found.values()))
        raw = columns_of(np.asarray(values, dtype=np.float64))
        return self._sided(raw)

    def raw_of(self, prepared: Any) -> np.ndarray:
        if not self._seen_through():
            return self.outputs_of(prepared)
        return self.raw_tensor(self.tensor(prepared))

    def slopes(self, array: np.ndarray) -> np.ndarray:
        """The gradients of the target's score, in the shape of the array."""
        target, sign = self.target or 0, 1.0
        if self._one_of_two():
            target, sign = 0, -1.0 if target == 0 else 1.0
        return np.asarray(self.model.slopes(array, self.model.picked, target)) * sign

    def _one_of_two(self) -> bool:
        """True where one number speaks for two classes."""
        outputs = self.model.outputs
        return len(self.classes) == 2 and bool(outputs) and outputs[0].shape[1:] in ((), (1,))

    def _sided(self, raw: np.ndarray) -> np.ndarray:
        if len(self.classes) != 2 or raw.shape[1] != 1:
            return raw
        other = -raw if self.model.activation else 1.0 - raw
        return np.hstack((other, raw))

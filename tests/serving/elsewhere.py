"""A framework in its own environment, asked over a pipe: writes models, loads and runs them.

Run as `python -m tests.serving.elsewhere <framework>` it is the other end: one JSON object a line.
"""

import json
import os
import subprocess
import sys
from dataclasses import asdict
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from apps.serving.errors import BadRequest, LoadError, ModelFailure, ServingError
from apps.serving.spec import ServerSpec
from tests.serving.cases import Fitted

_ERRORS = {error.__name__: error for error in (BadRequest, LoadError, ModelFailure)}
_ROOT = Path(__file__).resolve().parents[2]
_workers: list["Worker"] = []


class Worker:
    """Speaks with the environment of one framework, or with another Python about its cases."""

    def __init__(self, framework: str, python: Path | None = None) -> None:
        from tests.serving.environments import interpreter

        python = python or interpreter(framework)
        command = [str(python), "-m", "tests.serving.elsewhere", framework]
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(_ROOT), "HOME": "/nowhere"}
        environment |= {"PYTHONWARNINGS": "ignore", "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=_ROOT, env=environment
        )
        _workers.append(self)

    def ask(self, do: str, **values: Any) -> Any:
        """The answer to one question; what was raised there is raised here."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps({"do": do, **values}).encode() + b"\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, f"the environment ended with {self.process.wait()}"
        answer = json.loads(line)
        if "raised" in answer:
            raise _ERRORS.get(answer["raised"], RuntimeError)(answer["message"])
        return answer["answer"]

    def written(self, format_: str, case: str, path: Path) -> Fitted:
        return Fitted(None, **self.ask("write", format=format_, case=case, path=str(path)))

    def load(self, spec: ServerSpec) -> "Model":
        return Model(self, self.ask("load", spec=asdict(spec)))

    def close(self) -> None:
        """Ends the other side, which ends with its input."""
        self.process.communicate(timeout=120)


class Model:
    """A model that is loaded over there."""

    def __init__(self, worker: Worker, loaded: dict[str, Any]) -> None:
        self.worker, self.number, self.advice = worker, loaded["number"], loaded["advice"]

    def predict(self, instances: list[Any]) -> list[Any]:
        found: list[Any] = self.worker.ask("predict", number=self.number, instances=instances)
        return found

    def describe(self) -> dict[str, Any]:
        found: dict[str, Any] = self.worker.ask("describe", number=self.number)
        return found

    def signature(self) -> dict[str, Any]:
        found: dict[str, Any] = self.worker.ask("signature", number=self.number)
        return found

    def explain(self, method: str, metadata: Any, rows: Any, **settings: Any) -> Any:
        return self.worker.ask(
            "explain",
            number=self.number,
            method=method,
            metadata=metadata,
            rows=rows,
            settings=settings,
        )


@cache
def worker(framework: str) -> Worker:
    """The one worker of a framework in this session."""
    return Worker(framework)


def close_all() -> None:
    """May be called again: several folders of tests ask workers."""
    while _workers:
        _workers.pop().close()


class _Other:
    """The other end."""

    def __init__(self, framework: str) -> None:
        self.cases = import_module(f"tests.serving.{framework}_cases")
        self.fitted: dict[str, Fitted] = {}
        self.models: dict[int, Any] = {}
        self.number = 0

    def hello(self) -> Any:
        return {
            "cases": [case.__name__ for case in self.cases.CASES],
            "formats": list(self.cases.FORMATS),
        }

    def write(self, case: str, format: str, path: str) -> Any:
        if case not in self.fitted:
            self.fitted[case] = getattr(self.cases, case)()
        fitted = self.fitted[case]
        self.cases.FORMATS[format](fitted, Path(path))
        return {
            "instances": fitted.instances,
            "expected": fitted.expected,
            "metadata": fitted.metadata,
            "tolerance": fitted.tolerance,
        }

    def load(self, spec: dict[str, Any]) -> Any:
        from apps.serving.loaders import load
        from apps.serving.spec import Limits

        limits = Limits(**spec.pop("limits"))
        trusted = tuple(spec.pop("trusted_types"))
        model = load(ServerSpec(**spec, limits=limits, trusted_types=trusted))
        self.number += 1
        self.models = {self.number: model}
        return {"number": self.number, "advice": model.advice}

    def predict(self, number: int, instances: list[Any]) -> Any:
        return self.models[number].predict(instances)

    def describe(self, number: int) -> Any:
        return self.models[number].describe()

    def signature(self, number: int) -> Any:
        return self.models[number].signature()

    def explain(self, number: int, method: str, metadata: Any, rows: Any, settings: Any) -> Any:
        """Answers to the rows, with the rows themselves as background where they are columns."""
        from apps.serving.explainers import explainer_class
        from apps.serving.explainers.base import Background, Budget
        from apps.serving.explainers.subject import subject_of

        subject = subject_of(self.models[number], metadata)
        explainer = explainer_class(method)
        background = Background.of(subject.frame(rows)) if subject.features else None
        if why := explainer.suits(subject, background):
            raise LoadError(why)
        made = explainer(subject, settings, 7)
        made.fit(background)
        return made.explain(rows, Budget(600))


def _plain(value: Any) -> Any:
    """Arrays as lists, exact: single precision widens to the same number."""
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, dict):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value.decode() if isinstance(value, bytes) else value


def _serve(framework: str) -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print must not get between the answers
    other = _Other(framework)
    for line in sys.stdin:
        question = json.loads(line)
        try:
            answer = {"answer": _plain(getattr(other, question.pop("do"))(**question))}
        except ServingError as error:
            answer = {"raised": type(error).__name__, "message": error.message}
        except Exception as error:
            answer = {"raised": "", "message": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    _serve(sys.argv[1])

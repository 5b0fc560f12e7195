"""Subjects of models as people bring them: written to a file, loaded as a model server does."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from apps.serving.explainers.subject import Subject, subject_of
from apps.serving.loaders import load
from tests.serving import contract

Subjects = Callable[..., Subject]
_FORMATS = {"sklearn": "joblib", "xgboost": "xgboost-ubj"}


@pytest.fixture
def subject(tmp_path: Path) -> Subjects:
    """Makes the subject of a fitted model: `subject("sklearn", model, metadata, sample)`."""

    def made(
        framework: str,
        model: Any,
        metadata: dict[str, Any] | None = None,
        sample: pd.DataFrame | None = None,
    ) -> Subject:
        known = next(each for each in contract.FRAMEWORKS if each.name == framework)
        fitted = contract.Fitted(model, [], None, metadata or {})
        format_ = _FORMATS[framework]
        path = tmp_path / f"model.{format_.removeprefix('xgboost-')}"
        known.formats[format_](model, path)
        spec = contract.ServerSpec("m", framework, format_, str(path), fitted.metadata)
        return subject_of(load(spec), fitted.metadata, sample)

    return made

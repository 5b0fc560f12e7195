"""What loading a file would run is named, wherever in the file it stands."""

import io
import os
import pickle
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import skops.io
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

from apps.registry.pickles import Unwalkable, names_in
from apps.registry.scan import scan

ROWS = np.random.default_rng(0).normal(size=(60, 3))
CLASSES = (ROWS[:, 0] > 0).astype(int)


class Runs:
    """Pickles as a call of a function with arguments."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple[Any, ...]:
        return self.call


def risk_of(path: Path, format_: str) -> str:
    return scan(path, format_)["risk"]


@pytest.mark.parametrize("compress", [0, 3, ("xz", 1), ("bz2", 1)])
@pytest.mark.parametrize(
    "estimator",
    [
        LogisticRegression(),
        RandomForestClassifier(3),
        HistGradientBoostingClassifier(max_iter=3),
        KNeighborsClassifier(),
    ],
)
def test_models_of_scikit_learn_are_low_in_joblib(
    estimator: Any, compress: Any, tmp_path: Path
) -> None:
    joblib.dump(estimator.fit(ROWS, CLASSES), tmp_path / "model", compress=compress)
    assert scan(tmp_path / "model", "joblib")["risk"] == "low"


@pytest.mark.parametrize("compress", [0, 3])
def test_a_call_behind_raw_arrays_is_found(compress: int, tmp_path: Path) -> None:
    objects = np.array([{"a": 1}, "text", None], dtype=object)
    content = [ROWS, objects, CLASSES.astype("U3"), Runs(os.system, "true"), ROWS]
    joblib.dump(content, tmp_path / "model", compress=compress)
    findings = scan(tmp_path / "model", "joblib")["findings"]
    assert findings[0] == {"level": "dangerous", "what": "posix.system"}


def test_a_call_inside_an_array_of_objects_is_found(tmp_path: Path) -> None:
    joblib.dump(np.array([Runs(os.system, "true")], dtype=object), tmp_path / "model")
    assert risk_of(tmp_path / "model", "joblib") == "dangerous"


def test_the_walk_runs_nothing(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    names_in(pickle.dumps(Runs(os.mkdir, str(mark))), arrays=True)
    assert not mark.exists()


@pytest.mark.parametrize(
    "content",
    [
        b"csklearn\nos.system\n(S'true'\ntR.",
        b"cnumpy.testing._private.utils\nrunstring\n(S'1'\nS'2'\ntR.",
        b"cbuiltins\neval\n(S'1'\ntR.",
        b"\x80\x04\x82\x01.",
        b"cbuiltins\nlist\nQ.",
        b"cbuiltins\nlist\n",
    ],
    ids=["dotted", "runstring", "eval", "extension", "persistent", "cut"],
)
def test_evasions_are_dangerous(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "model").write_bytes(content)
    assert risk_of(tmp_path / "model", "pickle") == "dangerous"


def test_an_array_that_claims_more_than_the_file_ends_the_walk() -> None:
    stream = io.BytesIO()
    joblib.dump(ROWS, stream)
    with pytest.raises(Unwalkable, match="longer than the file"):
        names_in(stream.getvalue()[:-40], arrays=True)


def test_a_foreign_class_is_unknown(tmp_path: Path) -> None:
    (tmp_path / "model").write_bytes(b"csome_package\nScorer\n)\x81.")
    assert scan(tmp_path / "model", "pickle") == {
        "risk": "unknown",
        "findings": [{"level": "unknown", "what": "some_package.Scorer"}],
    }


def test_a_foreign_type_in_skops_is_named(tmp_path: Path) -> None:
    model = LogisticRegression().fit(ROWS, CLASSES)
    model.extra_ = Path("x")
    skops.io.dump(model, tmp_path / "model.skops")
    found = scan(tmp_path / "model.skops", "skops")
    assert found["risk"] == "unknown"
    assert "PosixPath" in found["findings"][0]["what"]

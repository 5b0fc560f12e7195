"""Every loader answers what plain Python answers, however the instances are written."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from apps.serving.errors import LoadError
from apps.serving.loaders import load
from apps.serving.loaders.base import LoadedModel
from apps.serving.schema import compile_schema
from apps.serving.server import check_example
from apps.serving.spec import ServerSpec
from tests.serving.cases import Fitted
from tests.serving.contract import (
    FRAMEWORKS,
    Elsewhere,
    Framework,
    Served,
    formats,
    parameters,
    written,
)
from tests.serving.elsewhere import worker

Row = Framework | Elsewhere


@pytest.fixture
def served(framework: Row, format_: str, case: str, tmp_path: Path) -> Served:
    return written(framework, format_, case, tmp_path)


@pytest.fixture
def model(framework: Row, served: Served) -> LoadedModel:
    return framework.load(served.spec)


def assert_answers(found: list[Any], fitted: Fitted) -> None:
    """The same up to the case's tolerance; labels the same exactly."""
    expected = fitted.expected
    assert len(found) == len(expected)
    for ours, theirs in zip(found, expected, strict=True):
        _assert_same(ours, theirs, fitted.tolerance)


def _assert_same(ours: Any, theirs: Any, tolerance: float) -> None:
    if isinstance(ours, dict):
        assert ours.keys() == theirs.keys()
        for name, value in ours.items():
            _assert_same(value, theirs[name], tolerance)
    elif isinstance(ours, str | bool):
        assert ours == theirs
    elif isinstance(ours, list) and ours and isinstance(ours[0], list):
        assert len(ours) == len(theirs)
        for one, other in zip(ours, theirs, strict=True):
            _assert_same(one, other, tolerance)
    else:
        np.testing.assert_allclose(ours, np.asarray(theirs, dtype=float), rtol=0, atol=tolerance)


def over_the_wire(instances: list[Any]) -> list[Any]:
    parsed: list[Any] = json.loads(json.dumps(instances, allow_nan=False))
    return parsed


everything = pytest.mark.parametrize(("framework", "format_", "case"), parameters())


@everything
def test_the_answers_are_those_of_plain_python(served: Served, model: LoadedModel) -> None:
    instances = over_the_wire(served.fitted.instances)
    assert compile_schema(served.spec.metadata).check(instances) == []
    outputs = model.predict(instances)
    assert_answers(json.loads(json.dumps(outputs, allow_nan=False)), served.fitted)


@everything
def test_a_row_alone_is_answered_as_among_others(served: Served, model: LoadedModel) -> None:
    alone = [model.predict([row])[0] for row in over_the_wire(served.fitted.instances)]
    assert_answers(alone, served.fitted)


@everything
def test_lists_objects_and_any_order_of_keys_are_the_same(
    served: Served, model: LoadedModel
) -> None:
    instances = over_the_wire(served.fitted.instances)
    if isinstance(instances[0], dict):
        turned = [dict(reversed(row.items())) for row in instances]
        assert_answers(model.predict(turned), served.fitted)
        instances = [list(row.values()) for row in instances]
    assert_answers(model.predict(instances), served.fitted)


@everything
def test_the_example_makes_it_ready_and_it_describes_itself(
    served: Served, model: LoadedModel
) -> None:
    metadata = served.spec.metadata
    check_example(model, compile_schema(metadata), metadata["exampleInput"], served.spec)
    described = json.loads(json.dumps(model.describe(), allow_nan=False))
    assert described["framework"] == served.spec.framework
    assert described["frameworkVersion"]


@everything
def test_the_signature_fits_what_it_takes_and_answers(served: Served, model: LoadedModel) -> None:
    row = served.fitted.instances[0]
    outputs = over_the_wire(model.predict(served.fitted.instances))
    signature = json.loads(json.dumps(model.signature()))
    inputs = {each["name"]: each["shape"] for each in signature["inputs"]}
    if isinstance(row, dict) and (len(inputs) > 1 or len(row) == 1):
        assert inputs.keys() == row.keys()
        given = [row[name] for name in inputs]
    else:
        assert len(inputs) == 1
        given = [list(row.values()) if isinstance(row, dict) else row]
    for shape, value in zip(inputs.values(), given, strict=True):
        assert_shape(shape, value)
    first, described = outputs[0], signature["outputs"]
    several = list(first.values()) if isinstance(first, dict) else first
    for each, value in zip(described, [first] if len(described) == 1 else several, strict=True):
        assert_shape(each["shape"], value)


def assert_shape(described: list[int], value: Any) -> None:
    """The batch in front, then the sides of the value; one column may go without its 1."""
    assert described[0] == -1
    sides = list(np.shape(value))
    if described[1:] == [1] and not sides:
        return
    assert len(described) == len(sides) + 1
    assert all(a in (-1, b) for a, b in zip(described[1:], sides, strict=True))


@pytest.mark.parametrize(("framework", "format_"), formats())
@pytest.mark.parametrize("content", [b"", b"no model", b"{}", b"PK\x03\x04", b"\x80\x04N."])
def test_what_is_no_model_is_refused_in_words(
    framework: Row, format_: str, content: bytes, tmp_path: Path
) -> None:
    (tmp_path / "model").write_bytes(content)
    spec = ServerSpec("m", framework.name, format_, str(tmp_path / "model"))
    with pytest.raises(LoadError) as refused:
        framework.load(spec)
    assert len(refused.value.message) > 30
    assert "\n" not in refused.value.message


@pytest.mark.parametrize(("framework", "format_"), formats())
def test_a_file_cut_in_half_is_refused(framework: Row, format_: str, tmp_path: Path) -> None:
    served = written(framework, format_, framework.case_names()[0], tmp_path)
    path = Path(served.spec.artifact)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(LoadError):
        framework.load(served.spec)


def test_an_unknown_framework_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(LoadError, match="sklearn"):
        load(ServerSpec("m", "fortran", "tape", "x"))


@pytest.mark.slow
@pytest.mark.parametrize(
    "framework", [f for f in FRAMEWORKS if isinstance(f, Elsewhere)], ids=lambda f: f.name
)
def test_a_row_names_all_cases_and_formats_of_its_file(framework: Elsewhere) -> None:
    known = worker(framework.name).ask("hello")
    assert (known["cases"], known["formats"]) == (list(framework.cases), list(framework.formats))

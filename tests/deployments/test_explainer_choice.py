"""Which methods the flow offers for pictures, tensors and tables, and why others are not there."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from apps.accounts.models import User, Workspace
from apps.deployments.explainer_choice import left_out, proposals
from apps.registry import services as registry
from apps.registry.models import ModelVersion
from apps.registry.services import Upload
from tests.deployments.kept import KEPT, added

HOME = "/w/retail-credit/deployments/"
GRADIENTS = ["integrated_gradients", "saliency"]
TABLES = {"shap.permutation", "counterfactuals", "anchors", "lime", "partial_dependence"}
PICTURE = {"exampleInput": {"instances": [[[0.0, 1.0], [1.0, 0.0]]]}}


def message(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | 2, len(content)]) + content


def graph(*inputs: int) -> bytes:
    """An ONNX model of inputs with so many sides, the first without a fixed length."""
    found = b""
    for at, sides in enumerate(inputs):
        shape = message(1, message(2, b"N")) + message(1, b"\x08\x08") * (sides - 1)
        kind = message(1, b"\x08\x01" + message(2, shape))
        found += message(11, message(1, f"input {at}".encode()) + message(2, kind))
    return b"\x08\x09" + message(7, found)


def brought(
    workspace: Workspace, by: User, name: str, content: bytes, metadata: dict[str, Any] | None
) -> ModelVersion:
    return registry.add_version(
        model=registry.create_model(workspace=workspace, name=name, by=by),
        artifact=Upload(name, [content]),
        metadata=metadata or {},
        by=by,
    )


def methods(version: ModelVersion) -> list[str]:
    return [each.method for each in proposals(version)]


@pytest.mark.parametrize("name", ["digits.pt", "digits.pt2", "digits.keras"])
def test_pictures_of_networks_are_explained_by_gradients_and_occlusion(
    workspace: Workspace, owner: User, name: str
) -> None:
    version = added(name, workspace, owner)
    assert methods(version) == [*GRADIENTS, "occlusion"]
    assert [each.method for each in proposals(version) if each.recommended] == GRADIENTS
    assert "this model takes pictures" in left_out(version)
    assert "PyTorch" not in left_out(version)


@pytest.mark.parametrize("metadata", [None, PICTURE, {"inputTensorShape": [-1, 1, 8, 8]}])
def test_pictures_of_onnx_are_explained_by_occlusion(
    workspace: Workspace, owner: User, metadata: dict[str, Any] | None
) -> None:
    version = brought(workspace, owner, "p.onnx", graph(4), metadata)
    assert methods(version) == ["occlusion"]
    assert proposals(version)[0].recommended
    assert "saliency need a PyTorch or TensorFlow model" in left_out(version)


def test_rows_of_onnx_are_explained_as_tables(workspace: Workspace, owner: User) -> None:
    version = added("digits.onnx", workspace, owner)
    assert set(methods(version)) == TABLES
    assert left_out(version) == ""
    bare = brought(workspace, owner, "bare.onnx", (KEPT / "digits.onnx").read_bytes(), None)
    assert set(methods(bare)) == TABLES


def test_rows_of_networks_without_names_have_gradients(workspace: Workspace, owner: User) -> None:
    content, shape = (KEPT / "digits.pt").read_bytes(), {"inputTensorShape": [64]}
    version = brought(workspace, owner, "row.pt", content, shape)
    assert methods(version) == GRADIENTS
    assert "give them in the version's metadata" in left_out(version)


def test_several_inputs_without_names_are_left_to_a_module(
    workspace: Workspace, owner: User
) -> None:
    version = brought(workspace, owner, "several.onnx", graph(4, 2), None)
    assert methods(version) == []
    assert "A module of your own can" in left_out(version)


def test_objects_are_rows_to_mlflow(workspace: Workspace, owner: User) -> None:
    content = (KEPT / "columns-mlflow.zip").read_bytes()
    version = brought(workspace, owner, "rows.zip", content, None)
    rows = {"exampleInput": {"instances": [{"income": 2000.0, "age": 64}]}}
    ModelVersion.objects.filter(id=version.id).update(metadata=rows)
    version.refresh_from_db()
    assert set(methods(version)) == TABLES


@pytest.mark.parametrize("name", ["onnx/columns.onnx", "columns.txt"])
def test_columns_with_names_are_tables(workspace: Workspace, owner: User, name: str) -> None:
    content = (KEPT / name).read_bytes()
    version = brought(workspace, owner, name.rpartition("/")[2], content, None)
    assert "counterfactuals" in methods(version)
    assert left_out(version) == ""


def test_the_flow_says_why_a_picture_has_few_methods(
    workspace: Workspace, owner: User, client_for: Callable[[User], Client]
) -> None:
    version = brought(workspace, owner, "p.onnx", graph(4), None)
    said = f"?new_use_case=Reading&risk=high&version={version.id}&step=explainer"
    page = client_for(owner).get(f"{HOME}new/{said}").content.decode()
    assert page.count('name="explainers"') == 1
    assert "which parts of a picture the answer hangs on" in page
    assert "this model takes pictures" in page
    assert "LIME: what counts" not in page

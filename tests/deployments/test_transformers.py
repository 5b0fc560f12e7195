"""A transformer's module on its way in, in the flow, over the API, and what holds it back."""

import io
import zipfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
import skops.io
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone
from sklearn.linear_model import LogisticRegression

from apps.accounts.models import User, Workspace
from apps.core.errors import Invalid
from apps.deployments import services
from apps.deployments.models import Deployment
from apps.deployments.selectors import differences
from apps.deployments.transformer_files import take_module
from apps.deployments.transformers import NO_TRANSFORMER, Transformer, transformer_of
from apps.registry import services as registry
from apps.registry.models import Artifact, ModelVersion
from apps.registry.services import Upload
from tests.deployments.test_api import Api

ClientFor = Callable[[User], Client]
HOME = "/w/retail-credit/deployments/"
MODULE = b"def preprocess(instances):\n    return instances\n"


def packed(**files: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in files.items():
            archive.writestr(name.replace("__", "/"), text)
    return buffer.getvalue()


@pytest.fixture
def version(workspace: Workspace, operator: User, tmp_path: Path) -> ModelVersion:
    skops.io.dump(LogisticRegression().fit([[0.0], [1.0]], [0, 1]), tmp_path / "m.skops")
    model = registry.create_model(workspace=workspace, name="Logistic", by=operator)
    upload = Upload("m.skops", [(tmp_path / "m.skops").read_bytes()])
    return registry.add_version(model=model, artifact=upload, by=operator)


@pytest.fixture
def module(workspace: Workspace) -> Artifact:
    return take_module(workspace, Upload("units.py", [MODULE]))


@pytest.fixture
def deployment(
    workspace: Workspace, version: ModelVersion, module: Artifact, operator: User
) -> Deployment:
    return services.create_deployment(
        workspace=workspace,
        name="Credit risk",
        model_version=version,
        transformer=Transformer(artifact=module, reason="Read by two"),
        by=operator,
    )


def test_a_module_is_read_without_running_it(workspace: Workspace) -> None:
    source = b"import socket\nraise SystemExit\nasync def postprocess(predictions): ...\n"
    scan = take_module(workspace, Upload("t.py", [source])).scan
    assert (scan["steps"], scan["risk"]) == (["postprocess"], "dangerous")
    assert [(found["what"], found["where"]) for found in scan["findings"]] == [
        ("socket", "transformer.py, line 1")
    ]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"x = 1\n", "neither preprocess"),
        (b"def preprocess(:\n", "line 1 is not Python"),
        (packed(other="x"), "no transformer.py at its top"),
        (packed(**{"transformer.py": MODULE.decode(), "..__evil.py": ""}), "leads out of it"),
        (
            packed(**{"transformer.py": MODULE.decode(), "requirements.txt": "-r /etc/passwd"}),
            "no package with a version",
        ),
    ],
)
def test_what_is_no_transformer_is_refused_in_words(
    workspace: Workspace, content: bytes, words: str
) -> None:
    with pytest.raises(Invalid, match=words):
        take_module(workspace, Upload("t", [content]))


def test_code_needs_an_answer(workspace: Workspace, version: ModelVersion, module: Artifact,
                              operator: User) -> None:  # fmt: skip
    with pytest.raises(Invalid, match="say why it may run here"):
        services.create_deployment(
            workspace=workspace,
            name="Credit risk",
            model_version=version,
            transformer=Transformer(artifact=module),
            by=operator,
        )


def test_a_module_of_another_workspace_is_none(
    workspace: Workspace, other_workspace: Workspace, version: ModelVersion, operator: User
) -> None:
    theirs = take_module(other_workspace, Upload("t.py", [MODULE]))
    with pytest.raises(Invalid, match="no such transformer in this workspace"):
        services.create_deployment(
            workspace=workspace,
            name="Credit risk",
            model_version=version,
            transformer=Transformer(artifact=theirs, reason="x"),
            by=operator,
        )


def test_an_image_needs_a_backend_of_containers(
    workspace: Workspace, version: ModelVersion, operator: User
) -> None:
    with pytest.raises(Invalid, match="docker or swarm backend"):
        services.create_deployment(
            workspace=workspace,
            name="Credit risk",
            model_version=version,
            transformer=Transformer(image="acme/units:1"),
            backend="process",
            by=operator,
        )


def test_later_revisions_keep_it_until_it_is_taken_away(
    deployment: Deployment, operator: User
) -> None:
    kept = services.create_revision(deployment=deployment, by=operator)
    assert transformer_of(kept) == transformer_of(deployment.revisions.get(number=1))
    without = services.create_revision(
        deployment=deployment, transformer=NO_TRANSFORMER, by=operator
    )
    assert transformer_of(without) is None
    restored = services.restore_revision(revision=kept, by=operator)
    assert transformer_of(restored) == transformer_of(kept)
    assert ("Transformer", "none") in [(d.name, d.new) for d in differences(kept, without)]


def test_its_zip_may_say_what_it_needs_and_what_callers_send(
    workspace: Workspace, version: ModelVersion, operator: User
) -> None:
    files = {
        "transformer.py": MODULE.decode(),
        "requirements.txt": "python-dateutil==2.9.0",
        "metadata.json": '{"features": [{"name": "income_cents", "type": "integer"}]}',
    }
    artifact = take_module(workspace, Upload("t.zip", [packed(**files)]))
    made = services.create_deployment(
        workspace=workspace,
        name="Credit risk",
        model_version=version,
        transformer=Transformer(artifact=artifact, reason="Read"),
        by=operator,
    )
    component = made.revisions.get().components.get(kind="transformer")
    assert "python-dateutil==2.9.0" in component.environment.requirements
    assert component.config["metadata"]["features"][0]["name"] == "income_cents"


def test_the_upload_leads_back_to_the_flow_with_what_was_said(
    client_for: ClientFor, operator: User, version: ModelVersion
) -> None:
    said = f"?new_use_case=Scoring&risk=high&version={version.id}"
    file = SimpleUploadedFile("units.py", MODULE)
    answer = client_for(operator).post(f"{HOME}new/transformer/{said}", {"transformer_file": file})
    module = Artifact.objects.get(filename="units.py")
    assert answer.status_code == 302
    for part in ("new_use_case=Scoring", f"transformer={module.id}", "step=transformer"):
        assert part in answer["location"]
    page = client_for(operator).get(answer["location"]).content.decode()
    assert f'<option value="{module.id}" selected>' in page


def test_an_upload_that_is_none_says_why(
    client_for: ClientFor, operator: User, workspace: Workspace
) -> None:
    file = SimpleUploadedFile("units.py", b"x = 1")
    answer = client_for(operator).post(f"{HOME}new/transformer/", {"transformer_file": file})
    assert (answer.status_code, "neither preprocess" in answer.content.decode()) == (400, True)


def test_the_flow_asks_why_code_may_run_and_then_deploys(
    client_for: ClientFor, operator: User, version: ModelVersion, module: Artifact
) -> None:
    said = {
        "new_use_case": "Scoring",
        "risk": "high",
        "version": version.id,
        "transformer": module.id,
        "name": "Credit risk",
        "durability": "committed",
        "min_replicas": 1,
        "memory_mb": 512,
        "threads": 1,
        "load_timeout_seconds": 60,
    }
    client = client_for(operator)
    refused = client.post(f"{HOME}new/", said)
    assert (refused.status_code, "read it first" in refused.content.decode()) == (400, True)
    client.post(f"{HOME}new/", said | {"transformer_reason": "Read by two"})
    made = transformer_of(Deployment.objects.get().revisions.get())
    assert made is not None
    assert (made.artifact, made.reason, made.answered_by) == (module, "Read by two", "Operator")


def test_the_pages_show_it(client_for: ClientFor, operator: User, deployment: Deployment) -> None:
    client = client_for(operator)
    page = client.get(f"{HOME}credit-risk/").content.decode()
    assert "units.py" in page
    assert "Read by two" in page
    assert "Read by two" in client.get(f"{HOME}credit-risk/revisions/new/").content.decode()


def test_the_api_takes_modules_and_names_them_in_a_deployment(
    workspace: Workspace, operator: User, version: ModelVersion
) -> None:
    api = Api(operator)
    answer = api.client.post(
        f"/workspaces/{workspace.id}/transformers",
        {"file": SimpleUploadedFile("units.py", MODULE)},
        headers=api.headers,
    )
    assert (answer.status_code, answer.json()["steps"]) == (201, ["preprocess"])
    body = {
        "name": "Credit risk",
        "modelVersionId": str(version.id),
        "transformerType": 1,
        "transformerReference": {"reference": {"deeploy": {"artifactId": answer.json()["id"]}}},
        "transformerReason": "Read by two",
        "transformerMinReplicas": 2,
    }
    status, made = api.call("POST", f"/workspaces/{workspace.id}/deployments", body)
    assert (status, made["lastVersion"]["transformer"]["file"]) == (201, "units.py")
    path = f"/workspaces/{workspace.id}/deployments/{made['id']}"
    status, changed = api.call("PATCH", path, {"transformerType": 0})
    assert (status, changed["lastVersion"]["transformer"]) == (200, None)


def test_the_api_takes_an_image_in_the_clients_manner(
    workspace: Workspace, operator: User, version: ModelVersion
) -> None:
    body = {
        "name": "Credit risk",
        "modelVersionId": str(version.id),
        "backend": "docker",
        "transformerType": 1,
        "transformerReference": {"docker": {"image": "acme/units:1", "port": 9000}},
    }
    status, made = Api(operator).call("POST", f"/workspaces/{workspace.id}/deployments", body)
    assert (status, made["lastVersion"]["transformer"]["image"]) == (201, "acme/units:1")


@pytest.mark.parametrize(
    ("persona", "got", "posted"),
    [("operator", 200, 400), ("reviewer", 200, 403), ("outsider", 404, 404)],
)
def test_who_may_list_and_add_modules(
    request: pytest.FixtureRequest, workspace: Workspace, persona: str, got: int, posted: int
) -> None:
    api, path = Api(request.getfixturevalue(persona)), f"/workspaces/{workspace.id}/transformers"
    assert api.client.get(path, headers=api.headers).status_code == got
    assert api.client.post(path, headers=api.headers).status_code == posted
    assert Client().get(path).status_code == 401


def test_tidying_spares_a_module_in_use_and_takes_one_that_is_not(
    workspace: Workspace, deployment: Deployment, module: Artifact
) -> None:
    unused = take_module(workspace, Upload("other.py", [MODULE + b"# another\n"]))
    registry.tidy(now=timezone.now() + timedelta(days=2))
    assert Artifact.objects.filter(id=module.id).exists()
    assert not Artifact.objects.filter(id=unused.id).exists()

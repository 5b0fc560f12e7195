"""A module of one's own as an explainer: taken in, answered for, chosen over pages and the API."""

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from sklearn.linear_model import LogisticRegression

from apps.accounts.models import User, Workspace
from apps.core.errors import Invalid
from apps.deployments import services
from apps.deployments.explainer_files import take_explainer
from apps.deployments.explainer_image import entries_of
from apps.deployments.explainers import Explainer, Method, component_of, explainer_of, explaining_of
from apps.deployments.models import Deployment
from apps.deployments.selectors import differences
from apps.registry import services as registry
from apps.registry.models import Artifact, ModelVersion
from apps.registry.services import Upload
from tests.deployments.test_api import Api, base
from tests.deployments.test_explainers import registered

ClientFor = Callable[[User], Client]
HOME = "/w/retail-credit/deployments/"
MODULE = b"import socket\ndef explain(instances, predict):\n    return []\n"
SHAP = Method("shap", "shap.linear")


@pytest.fixture
def version(workspace: Workspace, operator: User, tmp_path: Path) -> ModelVersion:
    return registered(workspace, operator, LogisticRegression(), tmp_path, "Logistic")


@pytest.fixture
def module(workspace: Workspace) -> Artifact:
    return take_explainer(workspace, Upload("mine.py", [MODULE]))


@pytest.fixture
def deployment(
    workspace: Workspace, version: ModelVersion, module: Artifact, operator: User
) -> Deployment:
    given = Explainer((SHAP,), module=module, reason="Read by two")
    return services.create_deployment(
        workspace=workspace, name="Credit risk", model_version=version, explainer=given, by=operator
    )


def test_a_module_is_read_without_running_it(module: Artifact) -> None:
    assert (module.scan["steps"], module.scan["risk"]) == (["explain"], "dangerous")
    assert [(f["what"], f["where"]) for f in module.scan["findings"]] == [
        ("socket", "explainer.py, line 1")
    ]


def zipped(name: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(name, "def explain(i, p): ...")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"x = 1\n", "does not define explain"),
        (b"def explain(:\n", "line 1 is not Python"),
        (zipped("other.py"), "no explainer.py at its top"),
    ],
)
def test_what_is_no_module_is_refused(workspace: Workspace, content: bytes, words: str) -> None:
    with pytest.raises(Invalid, match=words):
        take_explainer(workspace, Upload("x", [content]))


def test_it_becomes_a_method_beside_the_others(deployment: Deployment, operator: User) -> None:
    first = deployment.revisions.get()
    component, kept = component_of(first), explainer_of(first)
    assert component is not None
    assert kept is not None
    told = explaining_of(component)
    assert [each["name"] for each in told.explainers] == ["shap", "custom"]
    assert Path(told.module).read_bytes() == MODULE
    assert (kept.reason, kept.answered_by) == ("Read by two", "Operator")
    later = services.create_revision(deployment=deployment, by=operator)
    assert explainer_of(later) == kept
    without = services.create_revision(
        deployment=deployment, explainer=Explainer((SHAP,)), by=operator
    )
    assert "Explainer's module" in [each.name for each in differences(later, without)]
    assert explainer_of(services.restore_revision(revision=later, by=operator)) == kept


def test_code_for_which_nobody_answers_does_not_run(
    deployment: Deployment, module: Artifact, operator: User
) -> None:
    with pytest.raises(Invalid, match="say why it may run here"):
        services.create_revision(
            deployment=deployment, explainer=Explainer(module=module, reason=" "), by=operator
        )


def test_a_module_of_another_workspace_is_none(deployment: Deployment, operator: User) -> None:
    other = Workspace.objects.create(name="Other", slug="other")
    strange = take_explainer(other, Upload("x.py", [MODULE]))
    with pytest.raises(Invalid, match="no such module"):
        services.create_revision(
            deployment=deployment, explainer=Explainer(module=strange, reason="x"), by=operator
        )


def test_an_image_needs_an_engine_and_explains_alone(
    deployment: Deployment, operator: User
) -> None:
    image = Explainer(image="registry.example/why:1")
    with pytest.raises(Invalid, match="docker or swarm"):
        services.create_revision(
            deployment=deployment, explainer=image, backend="process", by=operator
        )
    given = Explainer((SHAP,), image="registry.example/why:1")
    with pytest.raises(Invalid, match="explains alone"):
        services.create_revision(
            deployment=deployment, explainer=given, backend="docker", by=operator
        )
    strange = Explainer(image="x", variable_ids=("0199c2f0-0000-7000-8000-000000000000",))
    with pytest.raises(Invalid, match="variables is not in this workspace"):
        services.create_revision(
            deployment=deployment, explainer=strange, backend="docker", by=operator
        )


def test_the_api_takes_a_module_and_its_answer(
    workspace: Workspace, version: ModelVersion, operator: User
) -> None:
    api, home = Api(operator), base(workspace).removesuffix("/deployments")
    file = SimpleUploadedFile("mine.py", MODULE)
    path = f"{home}/explainers"
    answer = api.client.post(path, {"file": file}, headers=api.headers)
    made = answer.json()
    assert (answer.status_code, made["risk"], made["mayAnswer"]) == (201, "dangerous", True)
    assert [each["id"] for each in api.call("GET", path)[1]] == [made["id"]]
    body = {
        "name": "Risk",
        "modelVersionId": str(version.id),
        "explainerType": 7,
        "explainerReference": {"deeploy": {"moduleId": made["id"]}},
    }
    status, refused = api.call("POST", base(workspace), body)
    assert (status, "say why" in refused["message"]) == (400, True)
    status, told = api.call("POST", base(workspace), body | {"explainerReason": "Read by two"})
    assert status == 201, told
    shown = told["lastVersion"]
    assert (shown["explainerType"], shown["explainers"][0]["name"]) == (7, "custom")
    assert shown["explainerReference"]["deeploy"]["answeredBy"] == "Operator"
    one = f"{base(workspace)}/{told['id']}"
    _, both = api.call(
        "PATCH", one, {"explainers": [{"method": "shap.linear"}] + shown["explainers"]}
    )
    assert [each["name"] for each in both["lastVersion"]["explainers"]] == ["shap.linear", "custom"]
    assert both["lastVersion"]["explainerReference"]["deeploy"]["moduleId"] == made["id"]
    _, plain = api.call("PATCH", one, {"explainers": [{"method": "shap.linear"}]})
    assert plain["lastVersion"]["explainerReference"]["deeploy"]["moduleId"] is None


def test_the_api_takes_an_image_and_says_what_is_missing(
    workspace: Workspace, version: ModelVersion, operator: User
) -> None:
    api = Api(operator)
    body = {"name": "Risk", "modelVersionId": str(version.id), "explainerType": 7}
    status, refused = api.call("POST", base(workspace), body)
    assert (status, "names no image" in str(refused)) == (400, True)
    docker = {"image": "registry.example/why:1", "port": 9001, "uri": "/ready"}
    given = {"explainerReference": {"docker": docker}, "explainerArgs": ["--fast"]}
    status, made = api.call("POST", base(workspace), body | given)
    assert status == 201, made
    assert made["lastVersion"]["explainerReference"] == {"docker": docker}
    kept = explainer_of(Deployment.objects.get().revisions.get())
    assert kept is not None
    assert (kept.args, kept.words) == (("--fast",), "registry.example/why:1")
    assert Deployment.objects.get().revisions.get().backend == "docker"


def test_what_explains_within_a_custom_image_is_that_image_once_more(
    workspace: Workspace, operator: User
) -> None:
    model = registry.create_model(workspace=workspace, name="Bureau", by=operator)
    version = registry.add_image_version(
        model=model, image="bank/bureau:1", port=9001, readiness_path="/ready", by=operator
    )
    body = {"name": "Risk", "modelVersionId": str(version.id), "explainerType": 8}
    status, made = Api(operator).call("POST", base(workspace), body | {"modelArgs": ["--fast"]})
    assert status == 201, made
    docker = {"image": "bank/bureau:1", "port": 9001, "uri": "/ready"}
    assert made["lastVersion"]["explainerReference"] == {"docker": docker}
    kept = explainer_of(Deployment.objects.get().revisions.get())
    assert kept is not None
    assert kept.args == ("--fast",)


ENTRY: dict[str, Any] = {"contributions": [{"feature": "a", "contribution": 1.5}], "prediction": 2}


@pytest.mark.parametrize(
    ("entry", "part"),
    [
        (ENTRY, "contributions"),
        (ENTRY | {"prediction": None}, "said"),
        (ENTRY | {"unit": 5}, "said"),
        ({"contributions": "many"}, "said"),
        ({"reasons": [{"code": "R", "text": "Age", "features": ["a"]}]}, "reasons"),
        ({"reasons": [{"code": "R", "text": "Age", "features": ["b"]}]}, "said"),
        ({"shap_values": [1.0]}, "said"),
        ({"name": "else", "method": "shap.tree", "x": 1}, "said"),
    ],
)
def test_what_an_image_answers_is_drawn_where_its_shape_is_known(
    entry: dict[str, Any], part: str
) -> None:
    [[found]] = entries_of({"explanations": [entry]}, [{"a": 1}], ["a"])
    assert part in found
    assert (found["name"], found["method"]) == ("custom", "custom")


def test_an_image_names_the_places_of_a_model_without_names() -> None:
    parts = [{"feature": "row 1", "contribution": 2.0}]
    answer = {"explanations": [{"prediction": 2.0, "contributions": parts}]}
    [[found]] = entries_of(answer, [[[1.0, 2.0]]], [])
    assert found["contributions"] == parts


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"explanations": []}, "one object for each of 1 instances; it gave a list of 0"),
        ({"other": []}, "it gave nothing"),
        ([], "it gave nothing"),
        ({"explanations": [["a"]]}, "must be an object, not a list of 1"),
        ({"explanations": [{"a": float("nan")}]}, "holds NaN"),
    ],
)
def test_what_an_image_may_not_answer(answer: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        entries_of(answer, [{"a": 1}], ["a"])


def test_a_module_is_uploaded_on_the_way(
    workspace: Workspace, version: ModelVersion, operator: User, client_for: ClientFor
) -> None:
    client = client_for(operator)
    page = f"{HOME}new/explainer/"
    assert b"def explain(instances, predict)" in client.get(page).content
    bad = client.post(page, {"explainer_file": SimpleUploadedFile("x.py", b"x = 1")})
    assert (bad.status_code, b"does not define explain" in bad.content) == (400, True)
    file = SimpleUploadedFile("mine.py", MODULE)
    answer = client.post(f"{page}?version={version.id}", {"explainer_file": file})
    artifact = Artifact.objects.get(filename="mine.py")
    assert answer.status_code == 302
    assert f"explainer_module={artifact.id}" in answer["Location"]
    assert "step=explainer" in answer["Location"]
    assert b"mine.py" in client.get(page).content


def test_uploading_is_for_those_who_deploy(
    workspace: Workspace, reviewer: User, outsider: User, client_for: ClientFor, client: Client
) -> None:
    page = f"{HOME}new/explainer/"
    assert client_for(reviewer).get(page).status_code == 403
    assert client_for(outsider).get(page).status_code == 404
    assert client.get(page).status_code == 302


def test_the_revision_form_keeps_the_module_and_asks_for_a_reason(
    deployment: Deployment, module: Artifact, operator: User, client_for: ClientFor
) -> None:
    client, page = client_for(operator), f"{HOME}credit-risk/revisions/new/"
    form = client.get(page).context["form"]
    said = {name: field.value() for name in form.fields if (field := form[name]).value()}
    said = {name: getattr(value, "pk", value) for name, value in said.items()}
    assert said["explainer_module"] == module.pk
    refused = client.post(page, said | {"explainer_reason": ""})
    assert (refused.status_code, "read it first" in refused.content.decode()) == (400, True)
    assert client.post(page, said | {"explainer_reason": "Read again"}).status_code == 302
    kept = explainer_of(deployment.revisions.get(number=2))
    assert kept is not None
    assert (kept.module, kept.reason) == (module, "Read again")
    assert [method.name for method in kept.every_method] == ["shap", "custom"]


def test_an_image_in_the_form_needs_the_methods_unticked(
    deployment: Deployment, operator: User, client_for: ClientFor
) -> None:
    client, page = client_for(operator), f"{HOME}credit-risk/revisions/new/"
    form = client.get(page).context["form"]
    said = {name: field.value() for name in form.fields if (field := form[name]).value()}
    said = {name: getattr(value, "pk", value) for name, value in said.items()}
    said |= {"explainer_image": "registry.example/why:1", "backend": "docker"}
    refused = client.post(page, said)
    assert (refused.status_code, "untick the methods" in refused.content.decode()) == (400, True)
    alone = {k: v for k, v in said.items() if k not in ("explainer_module", "explainer_more")}
    answer = client.post(page, alone | {"explainer_args": "--fast\n\n-v"})
    assert answer.status_code == 302
    kept = explainer_of(deployment.revisions.get(number=2))
    assert kept is not None
    assert (kept.image, kept.args) == ("registry.example/why:1", ("--fast", "-v"))
    assert client.get(page).context["form"]["explainer_args"].value() == "--fast\n-v"

"""An explainer in a revision: kept, taken away, restored, refused; over pages and the API."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import skops.io
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.linear_model import LogisticRegression

from apps.accounts.models import User, Workspace
from apps.core.errors import Invalid
from apps.deployments import services
from apps.deployments.explainer_choice import proposals
from apps.deployments.explainer_files import take_background
from apps.deployments.explainers import (
    NO_EXPLAINER,
    Explainer,
    Method,
    component_of,
    explainer_of,
    explaining_of,
)
from apps.deployments.models import Component, Deployment
from apps.deployments.selectors import differences
from apps.registry import services as registry
from apps.registry.models import Artifact, ModelVersion
from apps.registry.services import Upload
from tests.deployments.test_api import Api, base

ClientFor = Callable[[User], Client]
HOME = "/w/retail-credit/deployments/"
SHAP = Explainer((Method("shap", "shap.linear"),), seed=3)
ROWS = pd.DataFrame({"a": np.linspace(0, 1, 30), "b": np.linspace(1, 0, 30)})


def registered(
    workspace: Workspace, by: User, model: Any, folder: Path, name: str, *, sample: bool = True
) -> ModelVersion:
    skops.io.dump(model.fit(ROWS, [0, 1] * 15), folder / "m.skops")
    return registry.add_version(
        model=registry.create_model(workspace=workspace, name=name, by=by),
        artifact=Upload("m.skops", [(folder / "m.skops").read_bytes()]),
        sample=Upload("r.csv", [ROWS.to_csv(index=False).encode()]) if sample else None,
        by=by,
    )


@pytest.fixture
def version(workspace: Workspace, operator: User, tmp_path: Path) -> ModelVersion:
    return registered(workspace, operator, LogisticRegression(), tmp_path, "Logistic")


@pytest.fixture
def background(workspace: Workspace) -> Artifact:
    table = ROWS.iloc[:20].to_csv(index=False).encode()
    return take_background(workspace, Upload("holdout.csv", [table]))


@pytest.fixture
def deployment(workspace: Workspace, version: ModelVersion, operator: User) -> Deployment:
    return services.create_deployment(
        workspace=workspace, name="Credit risk", model_version=version, explainer=SHAP, by=operator
    )


def test_the_reference_data_is_its_background_unless_another_is_given(
    deployment: Deployment, version: ModelVersion, background: Artifact, operator: User
) -> None:
    component = component_of(deployment.revisions.get())
    assert component is not None
    assert component.artifact == version.reference.artifact
    told = explaining_of(component)
    assert (told.seed, told.explainers[0]["method"]) == (3, "shap.linear")
    own = services.create_revision(
        deployment=deployment, explainer=Explainer(SHAP.methods, background), by=operator
    )
    assert explainer_of(own) == Explainer(SHAP.methods, background)


def test_later_revisions_keep_it_until_it_is_taken_away(
    deployment: Deployment, operator: User
) -> None:
    kept = services.create_revision(deployment=deployment, by=operator)
    assert explainer_of(kept) == SHAP
    without = services.create_revision(deployment=deployment, explainer=NO_EXPLAINER, by=operator)
    assert explainer_of(without) is None
    assert explainer_of(services.restore_revision(revision=kept, by=operator)) == SHAP
    assert ("Explainer", "none") in [(d.name, d.new) for d in differences(kept, without)]


def test_a_new_version_brings_its_own_reference_data(
    deployment: Deployment, version: ModelVersion, operator: User, tmp_path: Path
) -> None:
    newer = registry.add_version(
        model=version.model,
        artifact=Upload("m.skops", [(tmp_path / "m.skops").read_bytes()]),
        sample=Upload("new.csv", [ROWS.iloc[5:].to_csv(index=False).encode()]),
        by=operator,
    )
    revision = services.create_revision(deployment=deployment, model_version=newer, by=operator)
    component = component_of(revision)
    assert component is not None
    assert component.artifact == newer.reference.artifact


@pytest.mark.parametrize(
    ("explainer", "words"),
    [
        (Explainer((Method("x", "magic"),)), "no method magic; known are anchors"),
        (Explainer((Method("x", "custom", {"module": "/etc/passwd"}),)), "module of your own"),
        (Explainer((Method("a/b", "lime"),)), "no name for an explainer"),
        (Explainer((Method("x", "lime"), Method("x", "anchors"))), "Two explainers are named x"),
        (Explainer(SHAP.methods, sampling="magic"), "sample or kmeans"),
        (Explainer(SHAP.methods, rows=1), "from 2 to 100,000 rows"),
        (Explainer(SHAP.methods, seed=-1), "seed"),
    ],
)
def test_what_cannot_be_is_refused_in_words(
    explainer: Explainer, words: str, workspace: Workspace, version: ModelVersion, operator: User
) -> None:
    with pytest.raises(Invalid, match=words):
        services.create_deployment(
            workspace=workspace, name="x", model_version=version, explainer=explainer, by=operator
        )


def test_a_method_that_measures_needs_rows(
    workspace: Workspace, operator: User, tmp_path: Path
) -> None:
    bare = registered(workspace, operator, LogisticRegression(), tmp_path, "Bare", sample=False)
    with pytest.raises(Invalid, match="has no reference data"):
        services.create_deployment(
            workspace=workspace, name="x", model_version=bare, explainer=SHAP, by=operator
        )


def test_a_background_of_another_workspace_is_none(
    workspace: Workspace, other_workspace: Workspace, version: ModelVersion, operator: User
) -> None:
    theirs = take_background(other_workspace, Upload("r.csv", [b"a,b\n1,2\n"]))
    with pytest.raises(Invalid, match="no such background in this workspace"):
        services.create_deployment(
            workspace=workspace,
            name="x",
            model_version=version,
            explainer=Explainer(SHAP.methods, theirs),
            by=operator,
        )


def test_proposals_follow_the_model(
    workspace: Workspace, version: ModelVersion, operator: User, tmp_path: Path
) -> None:
    trees = registered(workspace, operator, GradientBoostingClassifier(), tmp_path, "Trees")
    assert [each.method for each in proposals(trees)][:2] == ["shap.tree", "shap.interventional"]
    assert proposals(version)[0].method == "shap.linear"
    assert [p.method for p in proposals(version) if p.recommended] == [
        "shap.linear",
        "counterfactuals",
    ]


def test_proposals_say_what_is_missing(
    workspace: Workspace, operator: User, tmp_path: Path
) -> None:
    bare = registered(
        workspace, operator, GradientBoostingClassifier(), tmp_path, "Bare", sample=False
    )
    missing = {each.method: each.missing for each in proposals(bare)}
    assert missing["shap.tree"] == ""
    assert missing["anchors"] == "needs a background"


def test_the_api_takes_methods_and_shows_them(
    workspace: Workspace, version: ModelVersion, operator: User
) -> None:
    api = Api(operator)
    body = {
        "name": "Credit risk",
        "modelVersionId": str(version.id),
        "explainerType": 0,
        "explainers": [{"name": "near", "method": "lime", "settings": {"samples": 500}}],
        "explainerSeed": 9,
    }
    status, made = api.call("POST", base(workspace), body)
    assert status == 201
    shown = made["lastVersion"]
    assert shown["explainers"][0]["settings"] == {"samples": 500}
    assert shown["explainerReference"]["deeploy"]["seed"] == 9
    path = f"{base(workspace)}/{made['id']}"
    _, kept = api.call("PATCH", path, {"explainerRows": 50})
    assert kept["lastVersion"]["explainers"][0]["name"] == "near"
    assert kept["lastVersion"]["explainerReference"]["deeploy"]["rows"] == 50
    _, gone = api.call("PATCH", path, {"explainers": []})
    assert (gone["lastVersion"]["explainerType"], gone["lastVersion"]["explainers"]) == (0, [])


@pytest.mark.parametrize(
    ("number", "method"), [(1, "anchors"), (6, "counterfactuals"), (9, "shap.tree")]
)
def test_the_official_numbers_stand_for_methods(
    number: int, method: str, workspace: Workspace, operator: User, tmp_path: Path
) -> None:
    trees = registered(workspace, operator, GradientBoostingClassifier(), tmp_path, "Trees")
    body = {"name": "x", "modelVersionId": str(trees.id), "explainerType": number}
    status, made = Api(operator).call("POST", base(workspace), body)
    assert status == 201
    assert made["lastVersion"]["explainers"][0]["method"] == method
    assert made["lastVersion"]["explainerType"] == number


def test_the_api_proposes_and_takes_backgrounds(
    workspace: Workspace, version: ModelVersion, background: Artifact, operator: User
) -> None:
    api, home = Api(operator), base(workspace).removesuffix("/deployments")
    _, found = api.call("GET", f"{home}/explainerProposals?modelVersionId={version.id}")
    assert (found[0]["method"], found[0]["cost"]) == ("shap.linear", "instant")
    assert api.call("GET", f"{home}/explainerProposals?modelVersionId=x")[0] == 400
    _, kept = api.call("GET", f"{home}/backgrounds")
    assert [(each["filename"], each["rows"]) for each in kept] == [("holdout.csv", 20)]
    reference = {"deeploy": {"backgroundId": kept[0]["id"]}}
    body = {"name": "x", "modelVersionId": str(version.id), "explainerReference": reference}
    _, made = api.call("POST", base(workspace), body | {"explainers": [{"method": "anchors"}]})
    assert made["lastVersion"]["explainerReference"]["deeploy"]["isReferenceData"] is False


def test_the_flow_proposes_and_reviews(
    client_for: ClientFor, operator: User, version: ModelVersion
) -> None:
    said = f"?new_use_case=Scoring&risk=high&version={version.id}"
    page = client_for(operator).get(f"{HOME}new/{said}&step=explainer").content.decode()
    assert "SHAP for linear models" in page
    assert "reference data · 30 rows" in page
    assert page.count("checked") == 2
    chosen = "&explainer_said=1&explainers=shap.linear&explainers=anchors&explainer_seed=4"
    details = "&name=Scoring&durability=committed&min_replicas=1&max_replicas=1&memory_mb=512"
    rest = f"{details}&threads=1&load_timeout_seconds=60&step=review"
    review = client_for(operator).get(f"{HOME}new/{said}{chosen}{rest}").content.decode()
    assert "shap.linear, anchors" in review
    assert "seed 4" in review


def test_nothing_ticked_stays_nothing(
    client_for: ClientFor, operator: User, version: ModelVersion
) -> None:
    said = f"?new_use_case=Scoring&risk=high&version={version.id}&explainer_said=1"
    page = client_for(operator).get(f"{HOME}new/{said}&step=explainer").content.decode()
    assert page.count("checked") == 0


def test_a_revision_keeps_methods_with_settings_in_its_form(
    client_for: ClientFor, deployment: Deployment, operator: User
) -> None:
    methods = (Method("lime", "lime"), Method("near", "lime", {"samples": 500}))
    services.create_revision(deployment=deployment, explainer=Explainer(methods), by=operator)
    client = client_for(operator)
    form = client.get(f"{HOME}credit-risk/revisions/new/").context["form"]
    data = {name: field.value() for name in form.fields if (field := form[name]).value()}
    data = {name: getattr(value, "pk", value) for name, value in data.items()}
    assert json.loads(data["explainer_more"])[0]["name"] == "near"
    answer = client.post(f"{HOME}credit-risk/revisions/new/", data)
    assert answer.status_code == 302
    kept = explainer_of(deployment.revisions.first())
    assert kept is not None
    assert kept.methods == methods


def test_a_background_is_uploaded_on_the_way(
    client_for: ClientFor, operator: User, version: ModelVersion
) -> None:
    client, address = client_for(operator), f"{HOME}new/background/?version={version.id}"
    assert client.get(address).status_code == 200
    table = SimpleUploadedFile("holdout.csv", ROWS.iloc[:9].to_csv(index=False).encode())
    answer = client.post(address, {"background_file": table})
    artifact = Artifact.objects.get(filename="holdout.csv")
    assert answer.status_code == 302
    assert f"explainer_background={artifact.id}" in answer["location"]
    bad = SimpleUploadedFile("x.csv", io.BytesIO(b"\xff\xfe\x00").read())
    assert client.post(address, {"background_file": bad}).status_code == 400


@pytest.mark.parametrize(("who", "status"), [("reviewer", 403), ("outsider", 404)])
def test_backgrounds_are_for_those_who_deploy(
    who: str, status: int, client_for: ClientFor, workspace: Workspace,
    request: pytest.FixtureRequest,
) -> None:  # fmt: skip
    client = client_for(request.getfixturevalue(who))
    assert client.get(f"{HOME}new/background/").status_code == status


def test_the_overview_names_the_explainer(
    client_for: ClientFor, deployment: Deployment, operator: User
) -> None:
    component = Component.objects.get(kind=Component.Kind.EXPLAINER)
    component.signature = {
        "explainers": [{"name": "shap", "method": "shap.linear", "milliseconds": 1.5}],
        "background": {"id": "ab" * 32, "rows": 30, "of": 30},
    }
    component.save()
    page = client_for(operator).get(f"{HOME}credit-risk/").content.decode()
    assert "for the example" in page
    assert "30 rows" in page

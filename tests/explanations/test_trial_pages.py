"""Measuring from a form: who may, what comes back, and that nothing entered is lost."""

from typing import Any
from urllib.parse import parse_qs, urlparse

import pytest
from django.test import Client
from django.utils import timezone

from apps.accounts.models import User
from apps.deployments.management.commands import controller
from apps.deployments.models import Deployment
from apps.explanations.models import ExplainerTrial
from apps.registry.models import ModelVersion
from tests.explanations.told import told

HOME = "/w/retail-credit/explainer-trials/"
HTMX = {"HX-Request": "true"}
FLOW = "/w/retail-credit/deployments/new/"


@pytest.fixture
def client(operator: User, client_for: Any) -> Client:
    return client_for(operator)


def filled(version: ModelVersion, **more: Any) -> dict[str, Any]:
    return {
        "version": str(version.id),
        "explainers": ["shap.tree", "lime"],
        "explainer_rows": "500",
        "explainer_said": "1",
        "new_use_case": "Loans",
        **more,
    }


@pytest.fixture
def done(version: ModelVersion, operator: User) -> ExplainerTrial:
    """What a worker found, as the real explainers say it."""
    names = ("shap.tree", "lime", "anchors", "counterfactuals", "partial_dependence")
    results = [
        {
            "name": name,
            "method": name,
            "refused": "",
            "of": "background",
            "milliseconds": [4.0, 2.0, 3.0],
            "seconds": 1.5,
            "instance": {"age": 41, "city": "Urk", "income": 2500.5},
            "example": told(name),
        }
        for name in names
    ]
    refused = {"name": "x", "method": "shap.linear", "refused": "It does not suit this model"}
    return ExplainerTrial.objects.create(
        version=version,
        methods=[{"name": name, "method": name, "settings": {}} for name in (*names, "x")],
        config={"rows": 1000, "seed": 0, "memory_mb": 2048},
        backend="process",
        state="done",
        seen_at=timezone.now(),
        results=[*results, refused],
        asked_by=operator,
    )


def test_a_picture_is_previewed_as_a_map_over_it(client: Client, done: ExplainerTrial) -> None:
    example = {
        "method": "occlusion", "class": "3", "unit": "probability", "baseValue": None,
        "picture": {"shape": [2, 2], "values": [[0.0, 0.4], [0.1, 0.0]]},
    }  # fmt: skip
    result = done.results[0] | {"instance": [[0.0, 1.0], [0.5, 0.0]], "example": example}
    ExplainerTrial.objects.filter(id=done.id).update(results=[result])
    page = client.get(f"{HOME}{done.id}/").content.decode()
    assert "Heat map of 2 by 2 places over the input: row 1, column 2 counts most" in page
    assert "The input, 2 by 2 places" in page


@pytest.mark.parametrize("where", ["", "trial", "cancel"])
def test_who_may_deploy_may_measure_and_sees_own_trials_alone(
    done: ExplainerTrial,
    where: str,
    client_for: Any,
    operator: User,
    owner: User,
    reviewer: User,
    outsider: User,
) -> None:
    path = {"": HOME, "trial": f"{HOME}{done.id}/", "cancel": f"{HOME}{done.id}/cancel/"}[where]

    def status(who: Client) -> int:
        return (who.post if where == "cancel" else who.get)(path).status_code

    assert status(client_for(operator)) == (302 if where == "cancel" else 200)
    assert status(client_for(owner)) == (404 if where else 200)
    assert status(client_for(reviewer)) == 403
    assert status(client_for(outsider)) == 404
    assert "/login/" in Client().get(path)["Location"]
    wrong = client_for(operator).get(path) if where == "cancel" else client_for(operator).put(path)
    assert wrong.status_code == 405


def test_the_part_polls_until_it_is_done(client: Client, version: ModelVersion) -> None:
    part = client.post(HOME, filled(version), headers=HTMX).content.decode()
    trial = ExplainerTrial.objects.get()
    assert f'hx-get="{HOME}{trial.id}/" hx-trigger="every 1s"' in part
    assert ("<html" in part, "0 of 2 methods" in part) == (False, True)
    assert trial.config == {"rows": 500, "seed": 0, "memory_mb": 2048}
    part = client.post(f"{HOME}{trial.id}/cancel/", headers=HTMX).content.decode()
    assert ("It was cancelled" in part, "hx-trigger" in part) == (True, False)


def test_without_scripts_the_way_back_holds_what_was_entered(
    client: Client, version: ModelVersion
) -> None:
    answer = client.post(HOME, filled(version, explainer_more="[]"))
    trial = ExplainerTrial.objects.get()
    assert answer["Location"].startswith(f"{HOME}{trial.id}/?")
    page = client.get(answer["Location"])
    back = urlparse(page.context["back"])
    said = parse_qs(back.query)
    assert back.path == FLOW
    assert (said["explainers"], said["new_use_case"]) == (["shap.tree", "lime"], ["Loans"])
    form = client.get(page.context["back"]).context["form"]
    assert form["explainers"].value() == ["shap.tree", "lime"]
    assert str(form["explainer_rows"].value()) == "500"


def test_a_new_revision_is_gone_back_to(client: Client, deployment: Deployment) -> None:
    version = ModelVersion.objects.get()
    answer = client.post(f"{HOME}?for={deployment.slug}", filled(version, note="Better"))
    back = client.get(answer["Location"]).context["back"]
    assert back.startswith(f"/w/retail-credit/deployments/{deployment.slug}/")
    form = client.get(back).context["form"]
    assert (form["note"].value(), form["explainers"].value()) == ("Better", ["shap.tree", "lime"])


def test_what_is_wrong_is_said_and_nothing_is_measured(
    client: Client, version: ModelVersion
) -> None:
    for given, words in (
        (filled(version, explainers=[]), "Choose a method first"),
        (filled(version) | {"version": "x"}, "Choose a model version first"),
        (filled(version, explainer_more="["), "This is not JSON"),
    ):
        part = client.post(HOME, given, headers=HTMX)
        assert (part.status_code, words in part.content.decode()) == (200, True)
        page = client.post(HOME, given)
        assert (page.status_code, words in page.content.decode()) == (400, True)
        assert 'value="Loans"' in page.content.decode()
    assert not ExplainerTrial.objects.exists()


def test_cost_and_preview_of_each_method_are_shown(
    client: Client, done: ExplainerTrial, version: ModelVersion
) -> None:
    page = client.get(f"{HOME}{done.id}/").content.decode()
    for words in ("3.00\u00a0ms", "It does not suit this model", "Tree SHAP", "As long as "):
        assert words in page
    assert "the model then says" in page
    assert "hx-trigger" not in page.split('id="trial"')[1].split("</div>")[0]
    part = client.get(f"{HOME}?version={version.id}", headers=HTMX).content.decode()
    assert "3.00\u00a0ms" in part
    assert "3.00" not in client.get(f"{HOME}?version=x", headers=HTMX).content.decode()


def test_the_sweep_of_orphans_spares_a_trial_that_goes_on(
    done: ExplainerTrial, monkeypatch: pytest.MonkeyPatch
) -> None:
    swept: list[list[Any]] = []

    class Engine:
        def orphans(self, known: list[Any]) -> list[Any]:
            swept.append(known)
            return []

    monkeypatch.setattr(controller, "backend_named", lambda name: Engine())
    command = controller.Command()
    for state in ("working", "cancelled"):
        ExplainerTrial.objects.update(state=state, handle={"pid": 7})
        command.unswept = {"process"}
        command._sweep()
    assert swept == [[{"pid": 7}], []]


def test_both_forms_have_the_button(client: Client, deployment: Deployment) -> None:
    version = ModelVersion.objects.get()
    use_case = {"new_use_case": "Loans", "risk": "high", "version": str(version.id)}
    page = client.get(FLOW, {**use_case, "step": "explainer"}).content.decode()
    assert f'formaction="{HOME}"' in page
    assert f'hx-get="{HOME}?version={version.id}"' in page
    revise = client.get(f"/w/retail-credit/deployments/{deployment.slug}/revisions/new/")
    page = revise.content.decode()
    assert f'formaction="{HOME}?for={deployment.slug}"' in page

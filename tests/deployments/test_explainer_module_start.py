"""A module of one's own on its way to serve: beside other methods, or failing in words."""

import pytest

from apps.accounts.models import User, Workspace
from apps.deployments import explainers, services
from apps.deployments.explainer_files import take_explainer
from apps.deployments.explainers import Explainer, Method
from apps.deployments.models import Component, Deployment, Replica, Revision
from apps.deployments.reconcile import Reconciler
from apps.deployments.run_settings import RunSettings
from apps.registry.services import Upload
from tests.deployments.kept import ANSWERS, added, run
from tests.deployments.test_controller import active, tick_until
from tests.deployments.test_explainer_start import deployment as deployment
from tests.deployments.test_explainer_start import reconciler as reconciler

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]
WITHOUT_EACH = """
def score(said):
    return float(said[-1] if isinstance(said, list) else said)


def explain(instances, predict):
    made = []
    for case in instances:
        (whole,) = predict([case])
        without = predict([case | {name: 0.0} for name in case])
        made.append({"baseValue": 0.5, "contributions": [
            {"feature": name, "contribution": score(whole) - score(other)}
            for name, other in zip(case, without)
        ]})
    return made
"""

WITHOUT_EACH_ROW = """
def explain(instances, predict):
    made = []
    for given in instances:
        assert isinstance(given, list)
        flat = isinstance(given[0], float)
        rows = [given] if flat else given[0]
        parts = []
        for at in range(len(rows)):
            changed = [list(row) for row in rows]
            changed[at] = [0.0] * len(changed[at])
            whole, other = predict([given, changed[0] if flat else [changed]])
            best = max(range(len(whole)), key=whole.__getitem__)
            parts.append({"feature": f"row {at + 1}", "contribution": whole[best] - other[best]})
        made.append({"contributions": parts})
    return made
"""


def with_module(workspace: Workspace, text: str, *methods: Method, seconds: int = 120) -> Explainer:
    module = take_explainer(workspace, Upload("explainer.py", [text.encode()]))
    run = RunSettings(load_timeout_seconds=seconds)
    return Explainer(methods, module=module, reason="Read by two", run=run)


def test_it_explains_beside_other_methods(
    deployment: Deployment, workspace: Workspace, operator: User, reconciler: Reconciler
) -> None:
    given = with_module(workspace, WITHOUT_EACH, Method("shap", "shap.linear"))
    services.create_revision(deployment=deployment, explainer=given, by=operator)
    second = deployment.revisions.get(number=2)

    def settled() -> bool:
        second.refresh_from_db()
        return second.state in (Revision.State.ACTIVE, Revision.State.FAILED)

    tick_until(reconciler, settled, seconds=180)
    assert active(deployment) == 2, second.error
    replica = Replica.objects.get(
        component__kind=Component.Kind.EXPLAINER,
        component__revision__number=2,
        state=Replica.State.READY,
    )
    [[shap, own]] = explainers.explained(replica, [{"a": 1.0, "b": 0.0}])
    assert (shap["method"], own["name"], own["method"]) == ("shap.linear", "custom", "custom")
    assert [part["value"] for part in own["contributions"]] == [1.0, 0.0]
    assert own["baseValue"] == 0.5
    names = [each["name"] for each in replica.component.signature["explainers"]]
    assert names == ["shap", "custom"]


@pytest.mark.parametrize(("name", "places"), [("digits.onnx", 1), ("digits.pt", 8)])
def test_it_gets_rows_without_names_as_they_are(
    workspace: Workspace, owner: User, reconciler: Reconciler, name: str, places: int
) -> None:
    made = services.create_deployment(
        workspace=workspace,
        name="Digits",
        model_version=added(name, workspace, owner),
        explainer=with_module(workspace, WITHOUT_EACH_ROW),
        run=RunSettings(memory_mb=3000),
        by=owner,
    )
    run(reconciler, made, "active")
    replica = Replica.objects.get(component__kind=Component.Kind.EXPLAINER, state="ready")
    case, expected = ANSWERS[name]["instances"][0], ANSWERS[name]["expected"][0]
    [[own]] = explainers.explained(replica, [case])
    assert [part["feature"] for part in own["contributions"]] == [
        f"row {at + 1}" for at in range(places)
    ]
    assert own["output"] == pytest.approx(expected, abs=1e-6)
    assert any(part["contribution"] for part in own["contributions"])


@pytest.mark.parametrize(
    ("text", "words", "seconds"),
    [
        ("def explain(i, p):\n    return [{'reasons': []}] * 7", "must return a list of 1", 120),
        ("def explain(i, p):\n    return 1 / 0", "ZeroDivisionError", 120),
        ("import nowhere\ndef explain(i, p): ...", "imports nowhere, which", 120),
        (
            "def explain(i, p):\n    return [{'curves': [], 'fidelity': {'x': float('nan')}}]",
            "holds NaN",
            120,
        ),
        ("def explain(i, p):\n    while True: pass", "was not ready within 20 seconds", 20),
    ],
)
def test_one_that_is_no_explainer_keeps_the_old_revision_serving(
    deployment: Deployment,
    workspace: Workspace,
    operator: User,
    reconciler: Reconciler,
    text: str,
    words: str,
    seconds: int,
) -> None:
    given = with_module(workspace, text, seconds=seconds)
    services.create_revision(deployment=deployment, explainer=given, by=operator)

    def failed() -> bool:
        return deployment.revisions.get(number=2).state == Revision.State.FAILED

    tick_until(reconciler, failed, seconds=180)
    assert words in deployment.revisions.get(number=2).error

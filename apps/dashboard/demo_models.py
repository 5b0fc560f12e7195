"""The models of the demo: what each is, where its files lie, and how it is explained."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from django.conf import settings

from apps.accounts.models import Workspace
from apps.deployments.explainer_files import take_background
from apps.deployments.explainers import Explainer, Method
from apps.registry.services import Upload

_SEED = 20261124
# What an applicant is, or has behind them, is nothing to advise them to change.
_GIVEN = [
    *("age", "personal_status_sex", "foreign_worker", "people_liable"),
    *("credit_history", "residence_since", "existing_credits"),
]


@dataclass(frozen=True, slots=True)
class DemoModel:
    """`artifact` lies under the folder of what was trained, cards and metadata beside it;
    `sample` and `holdout` there too. Every `explained_every`-th replayed case is explained."""

    artifact: str
    sample: str
    holdout: str
    model: str
    about_model: str
    name: str
    about: str
    case: str
    explained_every: int
    explainer: Callable[[Path, Workspace], Explainer]

    def read(self, folder: Path, name: str) -> str:
        """The text of a file beside the artifact."""
        return (folder / self.artifact).with_name(name).read_text()

    @property
    def replayed(self) -> dict[str, Any]:
        """What demo.json tells whoever replays held-out cases."""
        return {
            "holdout": self.holdout,
            "case": self.case,
            "explainedEvery": self.explained_every,
        }


def _fixture(name: str) -> Any:
    return json.loads((Path(settings.BASE_DIR) / "fixtures" / name).read_text())


def _credit(folder: Path, workspace: Workspace) -> Explainer:
    """Anchors need applications that the model was not trained on."""
    codes = {"catalogue": _fixture("german_credit_reasons.json"), "adverse": "bad"}
    methods = (
        Method("shap", "shap.tree"),
        Method("reasons", "reason_codes", codes),
        Method("anchors", "anchors"),
        Method("counterfactuals", "counterfactuals", {"immutable": _GIVEN}),
    )
    holdout = Upload("holdout.csv", [(folder / "holdout.csv").read_bytes()])
    return Explainer(methods, background=take_background(workspace, holdout), seed=_SEED)


def _challenger(folder: Path, workspace: Workspace) -> Explainer:
    return Explainer((Method("shap", "shap.native"), Method("lime", "lime")), seed=_SEED)


def _transactions(folder: Path, workspace: Workspace) -> Explainer:
    """The model's reasons in the catalogue's words, beside the rules that an expert set."""
    codes = {
        "catalogue": _fixture("transaction_reasons.json"),
        "adverse": "suspicious",
        "rules": _fixture("transaction_rules.json"),
    }
    methods = (Method("shap", "shap.native"), Method("reasons", "reason_codes", codes))
    return Explainer(methods, seed=_SEED)


_BOOSTING = DemoModel(
    artifact="gradient-boosting/model.skops",
    sample="reference.csv",
    holdout="holdout.csv",
    model="Gradient boosting",
    about_model="Probability that a consumer loan is not repaid, on German Credit.",
    name="Consumer credit risk",
    about="Estimates the risk that a consumer loan is not repaid.",
    case="application",
    explained_every=5,
    explainer=_credit,
)
_CHALLENGER = replace(
    _BOOSTING,
    artifact="xgboost/model.ubj",
    model="XGBoost",
    name="Consumer credit risk, challenger",
    explainer=_challenger,
)
CREDIT = (_BOOSTING, _CHALLENGER)
TRANSACTIONS = DemoModel(
    artifact="transactions/model.ubj",
    sample="transactions/reference.csv",
    holdout="transactions/holdout.csv",
    model="Transfers",
    about_model="Probability that a transfer is suspicious, on synthetic transfers.",
    name="Transaction monitoring",
    about="Flags transfers for an analyst before they leave. Trained on synthetic data.",
    case="transfer",
    explained_every=2,
    explainer=_transactions,
)

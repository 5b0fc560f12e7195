"""Reason codes: the principal reasons of an adverse decision, in the words of a catalogue.

Signed contributions of the served model towards the adverse answer are added up by the features of
each code; at most four codes with their share of all adverse contributions are given, none below a
floor. The catalogue is reviewed and has a version; a feature that it does not map is refused when
the explainer starts, not when somebody is given a reason that nobody has read.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from apps.serving.errors import LoadError, ModelFailure
from apps.serving.explainers import EXPLAINERS, explainer_class
from apps.serving.explainers.base import Background, Budget
from apps.serving.explainers.rules import read_rules, rows_of

_PREFERRED = ("shap.native", "shap.tree", "shap.linear", "shap.exact", "shap.permutation")
_SETTINGS = ("catalogue", "adverse", "by", "bySettings", "most", "floor", "rules")
_MOST = 4
_FLOOR = 0.05
_MOST_LISTED = 10


@dataclass(frozen=True, slots=True)
class Code:
    """One reviewed reason; `at` are the positions of its features, in feature order."""

    code: str
    text: str
    at: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Reason:
    """A code with its contribution towards the adverse answer and its share of all of those."""

    code: Code
    contribution: float
    share: float


def read_catalogue(entry: Any, names: Sequence[str]) -> tuple[str, tuple[Code, ...]]:
    """The version and the codes. Raises LoadError where features are unmapped, twice or unknown."""
    if not isinstance(entry, dict) or not str(entry.get("version") or "").strip():
        raise LoadError("Reason codes need a catalogue with a version; give the reviewed one")
    codes = tuple(_code(each, names) for each in entry.get("codes") or ())
    mapped = [at for code in codes for at in code.at]
    unmapped = [name for at, name in enumerate(names) if at not in mapped]
    if unmapped:
        shown = ", ".join(unmapped[:_MOST_LISTED])
        raise LoadError(
            f"The catalogue {entry['version']} maps no code to {len(unmapped)} of the model's "
            f"features: {shown}. Each can become a reason, so have each reviewed and mapped"
        )
    twice = [names[at] for at in sorted(set(mapped)) if mapped.count(at) > 1]
    if twice:
        raise LoadError(f"The catalogue maps {twice[0]} to two codes; a feature has one")
    labels = [code.code for code in codes]
    if len(set(labels)) < len(labels):
        raise LoadError("The catalogue holds a code twice; list its features together")
    return str(entry["version"]), codes


def _code(entry: Any, names: Sequence[str]) -> Code:
    if not isinstance(entry, dict) or not all(entry.get(k) for k in ("code", "text", "features")):
        raise LoadError("A code of the catalogue needs code, text and features")
    unknown = [str(name) for name in entry["features"] if name not in names]
    if unknown:
        raise LoadError(
            f"The code {entry['code']} names {unknown[0]}, which is no feature of the model"
        )
    at = tuple(sorted({list(names).index(name) for name in entry["features"]}))
    if len(at) < len(entry["features"]):
        raise LoadError(f"The code {entry['code']} names a feature twice")
    return Code(str(entry["code"]), str(entry["text"]), at)


def reasons(
    adverse: np.ndarray, codes: Sequence[Code], *, most: int = _MOST, floor: float = _FLOOR
) -> list[Reason]:
    """The greatest first, ties by feature order. `adverse` is (features,), positive where adverse.

    Features of one code are added up before their sign counts, so that correlated ones cancel.
    """
    sums = [(float(adverse[list(code.at)].sum()), code) for code in codes]
    total = sum(value for value, _ in sums if value > 0)
    found = [Reason(code, value, value / total) for value, code in sums if value > 0]
    found.sort(key=lambda reason: (-reason.contribution, reason.code.at[0]))
    return [reason for reason in found if reason.share >= floor][:most]


class ReasonCodes:
    """Reasons from the contributions of another method, and which of the expert's rules fired."""

    method = "reason_codes"

    def __init__(self, subject: Any, settings: dict[str, Any], seed: int) -> None:
        strange = sorted(set(settings) - set(_SETTINGS))
        if strange:
            raise LoadError(
                f"reason_codes has no setting {strange[0]}; it has {', '.join(_SETTINGS)}"
            )
        self.seed = seed
        self.sign, self.subject = _towards(subject, settings.get("adverse"))
        self.most, self.floor = _bounds(settings)
        self.version, self.codes = read_catalogue(settings.get("catalogue"), subject.names)
        self.rules = read_rules(settings.get("rules") or [], subject.features)
        self.by, self._settings = settings.get("by") or "", settings.get("bySettings") or {}
        self.contributor: Any = None
        self.background: Background | None = None

    @classmethod
    def suits(cls, subject: Any, background: Background | None) -> str:
        if not subject.features:
            return "The model takes tensors, not features that have names"
        if _contributing(subject, background):
            return ""
        return "No method gives signed contributions of this model"

    def fit(self, background: Background) -> None:
        """Fits the method that gives the contributions; the first that suits where none is named.

        Raises LoadError where none does.
        """
        self.by = self.by or _contributing(self.subject, background)
        if not self.by:
            raise LoadError(self.suits(self.subject, background))
        kind = explainer_class(self.by)
        why = kind.suits(self.subject, background)
        if why:
            raise LoadError(f"{self.by} cannot give the contributions: {why}")
        self.contributor = kind(self.subject, self._settings, self.seed)
        self.contributor.fit(background)
        self.background = background

    def explain(self, instances: list[Any], budget: Budget) -> list[dict[str, Any]]:
        told = [self._reasoned(each) for each in self.contributor.explain(instances, budget)]
        if not self.rules:
            return told
        rows = rows_of(self.subject.frame(instances))
        return [
            each | {"rules": [rule.applied(row) for rule in self.rules]}
            for each, row in zip(told, rows, strict=True)
        ]

    def _reasoned(self, told: dict[str, Any]) -> dict[str, Any]:
        """The other method's answer with reasons in the place of its contributions."""
        shares = {each["feature"]: each["contribution"] for each in told["contributions"]}
        if set(shares) != set(self.subject.names):
            raise ModelFailure(f"{self.by} gives contributions of other features than the model's")
        adverse = self.sign * np.array([shares[name] for name in self.subject.names])
        found = reasons(adverse, self.codes, most=self.most, floor=self.floor)
        content = {
            "reasons": [self._written(reason) for reason in found],
            "catalogue": self.version,
            "by": self.by,
        }
        kept = {key: value for key, value in told.items() if key != "contributions"}
        fidelity = told["fidelity"] | {
            "sharesGiven": float(sum(reason.share for reason in found)),
        }
        answered: dict[str, Any] = {}
        for key, value in kept.items():
            if key == "seed":
                answered |= content
            answered[key] = value
        return answered | {"method": self.method, "fidelity": fidelity}

    def _written(self, reason: Reason) -> dict[str, Any]:
        return {
            "code": reason.code.code,
            "text": reason.code.text,
            "features": [self.subject.names[at] for at in reason.code.at],
            "contribution": reason.contribution,
            "share": reason.share,
        }


def _towards(subject: Any, adverse: Any) -> tuple[float, Any]:
    """The sign of adverse contributions, and the subject with the adverse class explained."""
    if subject.classes:
        if adverse is None and len(subject.classes) != 2:
            raise LoadError('Say which class is adverse: set "adverse" to its label')
        target = subject.target if adverse is None else subject.index_of(adverse)
        return 1.0, subject.towards(target)
    if adverse not in (None, "higher", "lower"):
        raise LoadError('"adverse" of a model that gives numbers is higher or lower')
    return (-1.0 if adverse == "lower" else 1.0), subject


def _bounds(settings: dict[str, Any]) -> tuple[int, float]:
    most, floor = settings.get("most", _MOST), settings.get("floor", _FLOOR)
    if type(most) is not int or not 1 <= most <= _MOST:
        raise LoadError(f'"most" must be 1 to {_MOST}: more reasons explain less')
    if isinstance(floor, bool) or not isinstance(floor, int | float) or not 0 <= floor < 1:
        raise LoadError('"floor" must be a share from 0 to below 1')
    return most, float(floor)


def _contributing(subject: Any, background: Background | None) -> str:
    """The first method whose contributions the model can have."""
    for method in _PREFERRED:
        if method in EXPLAINERS and not explainer_class(method).suits(subject, background):
            return method
    return ""

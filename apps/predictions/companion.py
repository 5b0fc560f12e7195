"""What a layer above knows of predictions, for the log's API and pages: it is asked by a dotted
path in the settings, because imports run down only."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models import Q, QuerySet
from django.utils.module_loading import import_string

from apps.accounts.models import User
from apps.core.query import Filter
from apps.deployments.models import Deployment
from apps.predictions.models import PredictionRecord


@dataclass(frozen=True, slots=True)
class Cell:
    """A value in a column of the list; `kind` is that of a pill, empty for plain text."""

    text: str
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Choice:
    """A filter of the list: the parameter, its label, and values with their words."""

    name: str
    label: str
    values: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Withheld:
    """Why a person must not see the output of a prediction yet, in words; the page where they go
    on, and the one that takes a POST of theirs that they will see it anyway."""

    words: str
    url: str
    look_url: str


@dataclass(frozen=True, slots=True)
class Companion:
    """`filters` are conditions on predictions by parameter of the API; the list offers those of
    `choices`. `candidates`, by the same names: rows with the `prediction_id` of every prediction of
    a deployment that fulfils the condition; None where nearly every one may. `wire` gives what
    stands in the API's answers beside each prediction, `cells` what stands in the list's
    `columns`; both take all rows at once, so that queries stay few. `withheld` names the
    predictions whose output is kept from a person for now."""

    filters: dict[str, Callable[[Filter], Q]]
    candidates: dict[str, Callable[[Deployment, Filter], QuerySet[Any] | None]]
    choices: tuple[Choice, ...]
    columns: tuple[str, ...]
    wire: Callable[[Sequence[UUID]], dict[UUID, dict[str, Any]]]
    cells: Callable[[Sequence[PredictionRecord]], dict[UUID, list[Cell]]]
    withheld: Callable[[User], dict[UUID, Withheld]]


def companion() -> Companion:
    found: Companion = import_string(settings.LOG_COMPANION)
    return found


def candidates(deployment: Deployment, given: Iterable[Filter]) -> QuerySet[Any] | None:
    """Where to look for what fulfils all of these filters, other than in the whole log."""
    known = companion().candidates
    found = (known[each.name](deployment, each) for each in given if each.name in known)
    return next((each for each in found if each is not None), None)

"""What is kept from a person who must not know yet what the model said.

Whoever judges a prediction blind meets neither its output nor what was said of it, whatever their
role: not on its page, in lists, in files of the log, nor through the API.
"""

from collections.abc import AsyncIterator, Collection, Iterable
from copy import copy
from typing import Any
from uuid import UUID

from django.core.exceptions import PermissionDenied

from apps.accounts.models import User
from apps.predictions.companion import Withheld, companion
from apps.predictions.models import PredictionRecord

_OUTPUT = ("output", "outcome", "score", "model_output", "explanations")


class OutputWithheld(PermissionDenied):
    """It says why; `url` is where the person goes on, under `title` on the page that says it."""

    title = "Answer first"

    def __init__(self, found: Withheld) -> None:
        super().__init__(found.words)
        self.url = found.url


def withheld_from(user: Any) -> dict[UUID, Withheld]:
    """None for a deployment's token, which judges nothing."""
    return companion().withheld(user) if isinstance(user, User) else {}


def require_sight(user: Any, record: PredictionRecord) -> None:
    """Raises OutputWithheld where the output is kept from `user`."""
    found = withheld_from(user).get(record.id)
    if found is not None:
        raise OutputWithheld(found)


def veiled(
    records: Iterable[PredictionRecord], withheld: Collection[UUID]
) -> list[PredictionRecord]:
    """The records in their order; copies without output in place of those that are withheld."""
    return [_without_output(each) if each.id in withheld else each for each in records]


async def veiled_pages(
    pages: AsyncIterator[list[PredictionRecord]], withheld: Collection[UUID]
) -> AsyncIterator[list[PredictionRecord]]:
    """The same for rows that come a page at a time."""
    async for rows in pages:
        yield veiled(rows, withheld)


def _without_output(record: PredictionRecord) -> PredictionRecord:
    made = copy(record)
    for name in _OUTPUT:
        setattr(made, name, None)
    made.is_withheld = True
    return made

"""What a method costs: the time that it takes for some cases, one after the other."""

import time
from typing import Any

from apps.serving.errors import BadRequest
from apps.serving.explaining import Explanations, Job

_ROWS, _MOST_ROWS = 10, 100


def cost(explanations: Explanations, asked: dict[str, Any], job: Job) -> dict[str, Any]:
    """Of the method that `by` names: milliseconds for each of some rows of the background, or of
    the example as often where there is none, and what it says of the example."""
    [name] = explanations.names([asked.get("by")])
    wanted = asked.get("rows") or _ROWS
    if type(wanted) is not int or not 2 <= wanted <= _MOST_ROWS:
        raise BadRequest(f'"rows" must be a whole number from 2 to {_MOST_ROWS}')
    example = explanations.example()[:1]
    if not example:
        raise BadRequest("There is neither an example input nor a background to measure with")
    [[told]] = explanations.explained(example, [name], job)
    cases, of = example * wanted, "example"
    if explanations.background is not None:
        frame, _ = explanations.rows(wanted, wanted)
        cases, of = explanations.subject.instances(frame), "background"
    taken = []
    for case in cases:
        started = time.perf_counter()
        explanations.explained([case], [name], job)
        taken.append(round((time.perf_counter() - started) * 1000, 3))
    return {"by": name, "of": of, "milliseconds": taken, "instance": example[0], "example": told}

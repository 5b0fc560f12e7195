"""Every event that the code records has a sentence, and unknown ones stay readable."""

import re
from pathlib import Path

import pytest

from apps.audit.models import Event
from apps.audit.sentences import SENTENCES, changes_of, facts_of, sentence

ROOT = Path(__file__).resolve().parent.parent.parent
_NAME = re.compile(r"""["']([a-z_]+\.(?:[a-z_]+|\{\w+\}))["']""")
_CALL = re.compile(r"\b(?:_?record\w*|audit\.record|services\.record)\(")
# What an event's name is put together from, where it is.
_VERBS = {"deployment.{verb}": {"deployment.started", "deployment.stopped"}}


def recorded_names(folder: Path) -> set[str]:
    """The names in calls that record events: the first dotted text of each call."""
    names: set[str] = set()
    for path in folder.rglob("*.py"):
        source = path.read_text()
        for call in _CALL.finditer(source):
            found = _NAME.search(_arguments(source, call.end()))
            if found:
                names |= _VERBS.get(found.group(1), {found.group(1)})
    return names


def _arguments(source: str, start: int) -> str:
    depth, end = 1, start
    while depth and end < len(source):
        depth += {"(": 1, ")": -1}.get(source[end], 0)
        end += 1
    return source[start:end]


def event(name: str, data: str | None = "{}", **fields: str | None) -> Event:
    values: dict[str, str | None] = {"object_type": "deployment", "object_name": "Credit risk"}
    return Event(name=name, data=data, **(values | fields))


def test_every_recorded_event_has_a_sentence() -> None:
    names = recorded_names(ROOT / "apps")
    assert len(names) > 20
    assert sorted(names - set(SENTENCES)) == []


def test_a_planted_event_without_a_sentence_is_found(tmp_path: Path) -> None:
    (tmp_path / "services.py").write_text('audit.record(\n    name="model.exploded",\n    by=by)\n')
    assert recorded_names(tmp_path) - set(SENTENCES) == {"model.exploded"}


LIVE = '{"revision":3,"from":2}'
MOVED = '{"use_case":{"from":"a","to":"b"}}'
ERASED = "something that was erased"


@pytest.mark.parametrize(
    ("shown", "said"),
    [
        (event("revision.activated", LIVE), "Revision 3 of Credit risk went live"),
        (event("token.issued", '{"name":"Shop"}'), "Token Shop was issued for Credit risk"),
        (event("deployment.changed", MOVED), "Credit risk was changed: use case"),
        (event("canary.step_taken"), "Credit risk: canary step taken"),
        (event("model.deleted", None, object_name=None), f"The model {ERASED} was deleted"),
    ],
)
def test_an_event_is_said_in_words(shown: Event, said: str) -> None:
    assert sentence(shown) == said


def test_changes_stand_apart_from_the_other_data() -> None:
    shown = event("x.y", '{"name":{"from":"a","to":"b"},"scopes":["p","e"],"scan":{"a":1}}')
    assert changes_of(shown) == [("name", "a", "b")]
    assert facts_of(shown)[0] == ("scopes", "p, e", False)
    assert facts_of(shown)[1][2] is True


def test_a_changed_role_is_a_change() -> None:
    data = '{"from":"reviewer","to":"owner","userName":"Anna"}'
    shown = event("member.role_changed", data, object_type="workspace")
    assert changes_of(shown) == [("role", "reviewer", "owner")]
    assert facts_of(shown) == [("user name", "Anna", False)]

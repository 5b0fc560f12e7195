"""Long forms in parts."""

from typing import Any

from django import forms

from apps.core.form_groups import Group, parts_of


class Long(forms.Form):
    name = forms.CharField()
    port = forms.IntegerField(initial=8080, required=False)
    path = forms.CharField(required=False)
    extra_a = forms.CharField(required=False)
    extra_b = forms.IntegerField(required=False)
    groups = (Group("Server", ("port", "path"), folded=True), Group("Extra", ("extra_*", "gone")))


def shown(**given: Any) -> list[tuple[str, list[str], bool]]:
    return [
        (part.title, [field.name for field in part.fields], part.folded)
        for part in parts_of(Long(**given))
    ]


def test_what_no_group_names_comes_first() -> None:
    assert shown() == [
        ("", ["name"], False),
        ("Server", ["port", "path"], True),
        ("Extra", ["extra_a", "extra_b"], False),
    ]


def test_a_folded_part_opens_where_something_is_filled_in_or_wrong() -> None:
    assert shown(initial={"path": "/health"})[1][2] is False
    assert shown(data={"name": "x", "port": "8080"})[1][2] is True
    assert shown(data={"name": "x", "port": "none"})[1][2] is False


def test_a_form_without_groups_is_one_part() -> None:
    class Plain(forms.Form):
        name = forms.CharField()

    assert [part.title for part in parts_of(Plain())] == [""]

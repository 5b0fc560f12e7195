"""What the pages of the audit log can be narrowed to; lives in the query string."""

from itertools import groupby
from typing import Any
from uuid import UUID

from django import forms

from apps.accounts.models import Workspace
from apps.audit.selectors import object_types
from apps.audit.sentences import FAMILIES, SENTENCES, in_words
from apps.deployments.models import Deployment

ACTORS = {
    "user": "Person",
    "token": "Token",
    "key_pair": "Key pair",
    "system": "Deeploy itself",
}


class EventFilter(forms.Form):
    """All fields are optional; `wanted` is what the selector takes."""

    name = forms.ChoiceField(label="What", required=False)
    actor = forms.CharField(label="By", required=False, max_length=200)
    actor_kind = forms.ChoiceField(
        label="Kind of actor", required=False, choices=[("", "Anybody"), *ACTORS.items()]
    )
    object_type = forms.ChoiceField(label="About", required=False)
    start = forms.DateTimeField(
        label="From", required=False, widget=forms.DateTimeInput({"type": "datetime-local"})
    )
    end = forms.DateTimeField(
        label="To", required=False, widget=forms.DateTimeInput({"type": "datetime-local"})
    )
    text = forms.CharField(label="Text", required=False, max_length=200)

    def __init__(self, workspace: UUID | None, data: Any) -> None:
        super().__init__(data)
        kinds = [(kind, in_words(kind).capitalize()) for kind in object_types(workspace)]
        self._choose("name", [("", "Everything"), *_names()])
        self._choose("object_type", [("", "Anything"), *kinds])

    def _choose(self, name: str, choices: list[Any]) -> None:
        field = self.fields[name]
        assert isinstance(field, forms.ChoiceField)
        field.choices = choices

    @property
    def wanted(self) -> dict[str, Any]:
        """The filters that were given and make sense; a broken one is shown and left out."""
        self.is_valid()
        return {name: value for name, value in self.cleaned_data.items() if value}


def _names() -> list[Any]:
    """Every name under its family, with the family as a whole before them."""
    choices: list[Any] = []
    for family, names in groupby(sorted(SENTENCES), key=lambda name: name.split(".")[0]):
        label = FAMILIES.get(family, in_words(family).capitalize())
        each = [(name, in_words(name).capitalize()) for name in names]
        choices.append((label, [(f"{family}.", f"{label}: all"), *each]))
    return choices


class BundleForm(forms.Form):
    """What a bundle holds; one of the whole organisation has no choice of deployment."""

    deployment = forms.ChoiceField(
        label="Deployment",
        required=False,
        help_text="Of one deployment, the records of others are left out or stand as digests.",
    )
    since = forms.DateTimeField(
        label="Since",
        required=False,
        help_text="In UTC. Without it, from the beginning.",
        widget=forms.DateTimeInput({"type": "datetime-local"}),
    )

    def __init__(self, workspace: Workspace | None, data: Any) -> None:
        super().__init__(data)
        if workspace is None:
            del self.fields["deployment"]
            return
        names = Deployment.objects.filter(workspace=workspace).order_by("name")
        field = self.fields["deployment"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [("", "All of them"), *((str(each.id), each.name) for each in names)]

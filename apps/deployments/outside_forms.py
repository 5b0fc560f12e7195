"""Forms of deployments that do not run here."""

import json
from typing import Any

from django import forms

from apps.accounts.models import Workspace
from apps.core.errors import Invalid
from apps.core.form_groups import Group
from apps.deployments import external
from apps.deployments.endpoints import MAPPINGS
from apps.deployments.external import AUTHENTICATIONS, About, EndpointWish
from apps.deployments.forms import NameForm, PurposeForm
from apps.deployments.models import Deployment
from apps.registry.metadata import checked, parsed
from apps.registry.models import ModelVersion

_WISHED = tuple(EndpointWish.__dataclass_fields__)


class AboutFields(forms.Form):
    """What is known of the model."""

    metadata = forms.CharField(
        label="metadata.json", required=False, max_length=200_000,
        widget=forms.Textarea({"rows": 6, "spellcheck": "false"}),
        help_text="Features, prediction classes, problem type and an example input, as JSON. With "
        "features every call is checked; with an example the endpoint is tried before traffic.",
    )  # fmt: skip
    model_card = forms.CharField(
        label="Model card", required=False, widget=forms.Textarea({"rows": 4})
    )
    data_card = forms.CharField(
        label="Data card", required=False, widget=forms.Textarea({"rows": 4})
    )

    def clean_metadata(self) -> str:
        text: str = self.cleaned_data["metadata"]
        try:
            if text.strip():
                checked(parsed(text.encode()))
        except Invalid as error:
            raise forms.ValidationError(error.message) from None
        return text

    def about(self) -> About:
        text = self.cleaned_data["metadata"].strip()
        return About(
            metadata=parsed(text.encode()) if text else {},
            model_card=self.cleaned_data["model_card"],
            data_card=self.cleaned_data["data_card"],
        )

    @staticmethod
    def about_initial(version: ModelVersion) -> dict[str, str]:
        """What a new revision starts from."""
        metadata = version.metadata
        return {
            "metadata": json.dumps(metadata, indent=2, ensure_ascii=False) if metadata else "",
            "model_card": version.model_card,
            "data_card": version.data_card,
        }


class EndpointFields(forms.Form):
    """Where the endpoint is and how it is called."""

    url = forms.CharField(
        label="Address", max_length=500, widget=forms.URLInput,
        help_text="The whole address that takes the POST, with https:// as a rule.",
    )  # fmt: skip
    mapping = forms.ChoiceField(
        label="Bodies", choices=list(MAPPINGS.items()), initial="v1",
        help_text="As it is: your callers' JSON goes there, and its answer comes back, unchanged.",
    )  # fmt: skip
    authentication = forms.ChoiceField(
        label="Authentication", choices=list(AUTHENTICATIONS.items()), initial="none"
    )
    username = forms.CharField(
        label="User name", max_length=200, required=False,
        help_text="Or the name of the custom header, or the client id for OAuth.",
    )  # fmt: skip
    password = forms.CharField(
        label="Secret", max_length=5000, required=False, strip=False,
        widget=forms.PasswordInput({"autocomplete": "new-password"}, render_value=False),
        help_text="The password, the token, the header's value or the client secret. It is "
        "encrypted and never shown again.",
    )  # fmt: skip
    token_url = forms.CharField(
        label="Address of the tokens", max_length=500, required=False, widget=forms.URLInput,
        help_text="For OAuth.",
    )  # fmt: skip
    scope = forms.CharField(label="Scope", max_length=500, required=False, help_text="For OAuth.")
    health_url = forms.CharField(
        label="Address to look at", max_length=500, required=False, widget=forms.URLInput,
        help_text="Asked by GET every half minute; empty for the address itself.",
    )  # fmt: skip
    timeout_seconds = forms.IntegerField(
        label="Time for an answer, in seconds", min_value=1, max_value=300, initial=30
    )
    max_answer_mb = forms.IntegerField(
        label="Largest answer, in MB", min_value=1, max_value=100, initial=10
    )

    def wish(self) -> EndpointWish:
        return EndpointWish(**{name: self.cleaned_data[name] for name in _WISHED})

    @staticmethod
    def wish_initial(version: ModelVersion) -> dict[str, Any]:
        wish = external.wish_of(version)
        return {name: getattr(wish, name) for name in _WISHED if name != "password"}


class PlaceFields(forms.Form):
    """Where a registered model runs, in words."""

    place = forms.CharField(
        label="Where it runs", max_length=300, required=False,
        help_text="Such as the vendor's cloud, or a spreadsheet of the treasury.",
    )  # fmt: skip


class NoteFields(forms.Form):
    """Why there is a new revision."""

    note = forms.CharField(label="What changes, and why", max_length=300, required=False)


_AUTHENTICATION = Group(
    "Authentication", ("authentication", "username", "password", "token_url", "scope")
)
_LIMITS = Group(
    "Limits and health", ("timeout_seconds", "max_answer_mb", "health_url"), folded=True
)
_ABOUT = Group("What is known of the model", ("metadata", "model_card", "data_card"), folded=True)
_CALL = Group("How it is called", ("url", "mapping"))


class NewEndpointForm(PurposeForm, NameForm, EndpointFields, AboutFields):
    """An external deployment from nothing."""

    durability = forms.ChoiceField(
        label="Record", choices=Deployment.Durability.choices, initial="committed",
        help_text="Before the answer, a record cannot be lost; after it, answers are quicker.",
    )  # fmt: skip
    field_order = ("name", "description", "use_case", "new_use_case", "risk", *_WISHED)
    groups = (_CALL, _AUTHENTICATION, _LIMITS, _ABOUT, Group("Record", ("durability",)))

    def __init__(self, workspace: Workspace, *args: Any, **kwargs: Any) -> None:
        super().__init__(workspace, *args, **kwargs)


class NewEntryForm(PurposeForm, NameForm, PlaceFields, AboutFields):
    """An inventory entry from nothing."""

    field_order = ("name", "description", "place", "use_case", "new_use_case", "risk")


class EndpointRevisionForm(NoteFields, EndpointFields, AboutFields):
    """Another endpoint, or more known of it."""

    field_order = ("note", *_WISHED)
    groups = (_CALL, _AUTHENTICATION, _LIMITS, _ABOUT)


class EntryRevisionForm(NoteFields, PlaceFields, AboutFields):
    """More known of a registered model."""

"""What people say of a container image that serves a model."""

import json
from typing import Any

from django import forms

from apps.accounts.models import Workspace
from apps.core.errors import DomainError
from apps.core.form_groups import Group
from apps.registry.metadata import parsed
from apps.registry.models import Credential, Model, ModelVersion
from apps.registry.services.images import CREDENTIAL_KINDS

_EXAMPLE = '{"exampleInput": {"instances": [{"age": 41, "income": 2800}]}}'


class ImageForm(forms.Form):
    """Image, port, credential, and what metadata.json says of its model."""

    name = forms.CharField(label="Name of the model", max_length=80)
    image = forms.CharField(
        label="Image", max_length=255,
        help_text="As docker pull takes it: registry.example.com/team/model:1.4. It has to speak "
        "V1 (/v1/models/…:predict) or V2, the Open Inference Protocol.",
        widget=forms.TextInput(attrs={"class": "mono", "spellcheck": "false"}),
    )  # fmt: skip
    port = forms.IntegerField(label="Port it listens on", initial=8080)
    readinessPath = forms.CharField(
        label="Path that says it is ready", max_length=200, required=False,
        help_text="Such as /health; without one it is asked as V2 and V1 have it.",
    )  # fmt: skip
    credential = forms.ModelChoiceField(
        Credential.objects.none(), label="Credential for the registry", required=False,
        empty_label="None, the image is public or on this machine",
    )  # fmt: skip
    served_name = forms.CharField(
        label="Name of its model", max_length=120, required=False,
        help_text="The name in its addresses, where it serves more than one.",
    )  # fmt: skip
    sample = forms.FileField(
        label="Sample of the training data", required=False, max_length=255,
        widget=forms.FileInput(attrs={"accept": ".csv,.parquet,.pq"}),
        help_text="CSV or Parquet with a header. It describes the features, gives the example "
        "input, and becomes the reference data that drift is measured against.",
    )  # fmt: skip
    target = forms.CharField(
        label="Target column of the sample", max_length=200, required=False,
        help_text="The column that the model predicts; it is no feature.",
    )  # fmt: skip
    metadata = forms.CharField(
        label="metadata.json", required=False, strip=False,
        widget=forms.Textarea(
            attrs={"rows": 6, "spellcheck": "false", "class": "mono", "placeholder": _EXAMPLE}
        ),
        help_text="Features, classes and an example, where the sample does not say them.",
    )  # fmt: skip
    notes = forms.CharField(label="What is new in this version", max_length=500, required=False)

    groups = (
        Group("Its server", ("port", "readinessPath", "credential", "served_name")),
        Group("What is known of the model", ("sample", "target", "metadata"), folded=False),
    )

    def __init__(self, workspace: Workspace, model: Model | None, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        credentials: Any = self.fields["credential"]
        credentials.queryset = workspace.credentials.filter(kind__in=CREDENTIAL_KINDS)
        if model:
            del self.fields["name"]

    @classmethod
    def initial_of(cls, last: ModelVersion | None) -> dict[str, Any]:
        """The next image is most often the last one with another tag."""
        if last is None:
            return {}
        metadata = dict(last.metadata)
        served_name = metadata.pop("servedModelName", "")
        return {
            **last.source,
            "credential": last.credential_id,
            "served_name": served_name,
            "metadata": json.dumps(metadata, indent=2, ensure_ascii=False) if metadata else "",
        }

    def clean_metadata(self) -> dict[str, Any]:
        text = self.cleaned_data["metadata"]
        if not text.strip():
            return {}
        try:
            return parsed(text.encode())
        except DomainError as error:
            raise forms.ValidationError(error.errors[0]["message"]) from None

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or {}
        if data.get("served_name") and isinstance(data.get("metadata"), dict):
            data["metadata"] = data["metadata"] | {"servedModelName": data["served_name"]}
        return data

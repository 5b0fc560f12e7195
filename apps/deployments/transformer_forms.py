"""The part of the deployment forms that describes a transformer."""

import json
from typing import Any

from django import forms

from apps.accounts.models import User, Workspace
from apps.core.errors import Invalid
from apps.deployments.models import Revision
from apps.deployments.run_settings import RunSettings
from apps.deployments.transformer_files import transformers_in
from apps.deployments.transformers import NO_TRANSFORMER, Transformer, transformer_of
from apps.deployments.workspace_form import WorkspaceForm
from apps.registry.metadata import checked, parsed
from apps.registry.models import Artifact


class ModuleField(forms.ModelChoiceField):
    """Names each module with its steps and the day on which it came."""

    def label_from_instance(self, obj: Any) -> str:
        steps = " and ".join(obj.scan["steps"])
        return f"{obj.filename} · {steps} · {obj.created_at:%Y-%m-%d} · {obj.sha256[:8]}"


class TransformerForm(WorkspaceForm):
    """A module of the workspace, or an image; nothing for none."""

    transformer = ModuleField(
        Artifact.objects.none(), label="Module", required=False, empty_label="None"
    )
    transformer_image = forms.CharField(
        label="Or an image", max_length=300, required=False,
        help_text="Its server answers POST /v1/models/model:preprocess and :postprocess.",
    )  # fmt: skip
    transformer_port = forms.IntegerField(
        label="Port of the image", min_value=1, max_value=65535, initial=8080, required=False
    )
    transformer_reason = forms.CharField(
        label="Why its code may run", max_length=500, required=False,
        help_text="A module is code, which runs as it is written. Say who read it. Not for images.",
    )  # fmt: skip
    transformer_requirements = forms.CharField(
        label="Its packages", max_length=2000, required=False,
        widget=forms.Textarea({"rows": 3, "spellcheck": "false"}),
        help_text="As in requirements.txt. Empty: those in the zip, else numpy, pandas and what "
        "this installation has.",
    )  # fmt: skip
    transformer_metadata = forms.CharField(
        label="What callers send", max_length=4000, required=False,
        widget=forms.Textarea({"rows": 4, "spellcheck": "false"}),
        help_text='JSON with "features" and "exampleInput" of the raw input, as in metadata.json. '
        "Needed where preprocess takes other fields than the model.",
    )  # fmt: skip
    transformer_replicas = forms.IntegerField(
        label="Its servers", min_value=1, max_value=32, initial=1, required=False
    )
    transformer_memory_mb = forms.IntegerField(
        label="Memory for each, in MB", min_value=128, max_value=1024 * 1024, initial=1024,
        required=False,
    )  # fmt: skip

    def __init__(self, workspace: Workspace, *args: Any, **kwargs: Any) -> None:
        super().__init__(workspace, *args, **kwargs)
        field: Any
        for name, field in self.fields.items():
            if name.startswith("transformer"):
                field.is_alternative = True
        field = self.fields["transformer"]
        field.queryset = transformers_in(workspace)

    def clean_transformer_metadata(self) -> str:
        text: str = self.cleaned_data["transformer_metadata"]
        try:
            if text.strip():
                checked(parsed(text.encode()))
        except Invalid as error:
            raise forms.ValidationError(error.message) from None
        return text

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or {}
        if data.get("transformer") and data.get("transformer_image"):
            self.add_error("transformer_image", "Choose a module or name an image, not both.")
        elif data.get("transformer") and not data.get("transformer_reason", "").strip():
            self.add_error(
                "transformer_reason", "Say why the code of this module may run here; read it first."
            )
        return data

    @staticmethod
    def transformer_of(data: dict[str, Any], by: User) -> Transformer:
        """What the cleaned form says."""
        artifact, image = data.get("transformer"), data.get("transformer_image", "")
        if artifact is None and not image:
            return NO_TRANSFORMER
        text = data.get("transformer_metadata") or ""
        replicas = data.get("transformer_replicas") or 1
        return Transformer(
            artifact=artifact,
            image=image,
            port=data.get("transformer_port") or 8080,
            requirements=data.get("transformer_requirements") or "",
            metadata=parsed(text.encode()) if text.strip() else {},
            reason=data.get("transformer_reason") or "",
            answered_by=by.name,
            run=RunSettings(
                min_replicas=replicas,
                max_replicas=replicas,
                memory_mb=data.get("transformer_memory_mb") or 1024,
            ),
        )


def initial_of(revision: Revision) -> dict[str, Any]:
    """What a new revision's form starts from."""
    kept = transformer_of(revision)
    if kept is None:
        return {}
    return {
        "transformer": kept.artifact,
        "transformer_image": kept.image,
        "transformer_port": kept.port,
        "transformer_reason": kept.reason,
        "transformer_requirements": kept.requirements,
        "transformer_metadata": json.dumps(kept.metadata, indent=1) if kept.metadata else "",
        "transformer_replicas": kept.run.min_replicas,
        "transformer_memory_mb": kept.run.memory_mb,
    }


class ModuleForm(forms.Form):
    """The upload of a module."""

    transformer_file = forms.FileField(
        label="Module",
        help_text="transformer.py, or a zip with it; the zip may hold requirements.txt and "
        "metadata.json beside it.",
    )

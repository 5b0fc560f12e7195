"""What people type about credentials, repositories and where a model lies."""

from typing import Any

from django import forms

from apps.accounts.models import Workspace
from apps.registry.credentials.kinds import PARTS
from apps.registry.models import Credential, Repository

_OPENS = {
    "git": ("password", "token", "header", "ssh"),
    "files": ("password", "token", "header", "oauth", "s3", "gcs", "azure"),
    "mlflow": ("password", "token", "header", "oauth", "s3", "gcs", "azure"),
}
_WIDE = {"spellcheck": "false", "class": "mono"}


class SecretForm(forms.Form):
    """The parts of one kind of credential; secret ones are never written back into the page."""

    def __init__(self, *args: Any, kind: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for part in PARTS[kind]:
            attrs: dict[str, Any] = {"autocomplete": "off", "spellcheck": "false"}
            widget: forms.Widget = forms.TextInput(attrs)
            if part.is_long:
                widget = forms.Textarea(attrs | {"rows": 6, "class": "mono"})
            elif part.is_secret:
                widget = forms.PasswordInput(attrs | {"autocomplete": "new-password"})
            self.fields[part.name] = forms.CharField(
                label=part.label,
                required=part.is_required,
                help_text=part.help,
                max_length=20_000,
                widget=widget,
            )

    def parts(self) -> dict[str, str]:
        """What was typed, by part."""
        return {name: value for name, value in self.cleaned_data.items() if name != "name"}


class CredentialForm(SecretForm):
    """A new credential of one kind."""

    name = forms.CharField(
        max_length=80, help_text="By which people choose it: what it opens, and as whom."
    )


class RenameForm(forms.Form):
    """Another name."""

    name = forms.CharField(max_length=80)


class RepositoryForm(forms.Form):
    """A Git repository."""

    name = forms.CharField(max_length=80)
    url = forms.CharField(
        label="Address",
        max_length=500,
        widget=forms.TextInput(_WIDE),
        help_text="https://git.example/team/models.git or git@git.example:team/models.git",
    )
    credential = forms.ModelChoiceField(
        Credential.objects.none(),
        required=False,
        empty_label="None: it is public",
    )

    def __init__(self, *args: Any, workspace: Workspace, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _offer(self, workspace, "git")


class _SourceForm(forms.Form):
    kind = ""

    credential = forms.ModelChoiceField(
        Credential.objects.none(), required=False, empty_label="None: anybody may read it"
    )

    def __init__(self, *args: Any, workspace: Workspace, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _offer(self, workspace, self.kind)

    def credential_given(self) -> Credential | None:
        """The credential with which it is fetched."""
        chosen: Credential | None = self.cleaned_data["credential"]
        return chosen

    def source(self) -> dict[str, Any]:
        """The source of the import."""
        names = [name for name in self.fields if name not in {"credential", "repository"}]
        return {"kind": self.kind} | {name: self.cleaned_data[name] for name in names}


class GitForm(_SourceForm):
    """A contract folder in a repository."""

    kind = "git"
    field_order = ("repository", "url", "credential", "ref", "path")
    repository = forms.ModelChoiceField(
        Repository.objects.none(), required=False, empty_label="Another: its address is below"
    )
    url = forms.CharField(
        label="Address",
        max_length=500,
        required=False,
        widget=forms.TextInput(_WIDE),
        help_text="Where the repository is none of the list.",
    )
    ref = forms.CharField(
        label="Branch, tag or commit",
        max_length=250,
        required=False,
        widget=forms.TextInput(_WIDE),
        help_text="Empty takes the default branch. The version is pinned to the commit found.",
    )
    path = forms.CharField(
        label="Sub-path",
        max_length=500,
        required=False,
        widget=forms.TextInput(_WIDE),
        help_text="The folder that holds model/, where that is not the top.",
    )

    def __init__(self, *args: Any, workspace: Workspace, **kwargs: Any) -> None:
        super().__init__(*args, workspace=workspace, **kwargs)
        known = workspace.repositories.all()
        field = self.fields["repository"]
        assert isinstance(field, forms.ModelChoiceField)
        field.queryset = known

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if not data.get("repository") and not data.get("url"):
            self.add_error("url", "Choose a repository, or give its address.")
        return data

    def source(self) -> dict[str, Any]:
        chosen: Repository | None = self.cleaned_data["repository"]
        return super().source() | ({"url": chosen.url} if chosen else {})

    def credential_given(self) -> Credential | None:
        chosen: Repository | None = self.cleaned_data["repository"]
        given = super().credential_given()
        return given or (chosen.credential if chosen else None)


class FilesForm(_SourceForm):
    """A file or a folder somewhere."""

    kind = "files"
    field_order = ("uri", "credential", "sha256")
    uri = forms.CharField(
        label="Where it lies",
        max_length=1000,
        widget=forms.TextInput(_WIDE),
        help_text="s3://bucket/path, gs://bucket/path, az://container/path, https://…, or a folder "
        "that an administrator allowed. A folder is packed into one file.",
    )
    sha256 = forms.RegexField(
        r"^[0-9a-fA-F]{64}$",
        label="Checksum",
        required=False,
        widget=forms.TextInput(_WIDE),
        help_text="The SHA-256 that the file must have, where you know it.",
        error_messages={"invalid": "A SHA-256 has 64 digits from 0 to 9 and a to f."},
    )


class MlflowForm(_SourceForm):
    """A version of an MLflow registry."""

    kind = "mlflow"
    field_order = ("tracking", "uri", "credential")
    tracking = forms.CharField(
        label="Tracking server",
        max_length=500,
        widget=forms.TextInput(_WIDE),
        help_text="https://mlflow.example",
    )
    uri = forms.CharField(
        label="Model",
        max_length=500,
        widget=forms.TextInput(_WIDE),
        help_text="models:/risk/3, models:/risk/Production or models:/risk@champion",
    )


FORMS: dict[str, type[_SourceForm]] = {"git": GitForm, "files": FilesForm, "mlflow": MlflowForm}


def _offer(form: forms.Form, workspace: Workspace, kind: str) -> None:
    field = form.fields["credential"]
    assert isinstance(field, forms.ModelChoiceField)
    field.queryset = workspace.credentials.filter(kind__in=_OPENS[kind])

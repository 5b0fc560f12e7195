"""Forms of the deployment flow and of a deployment's settings."""

from typing import Any
from uuid import UUID

from django import forms
from django.conf import settings
from django.db.models import QuerySet
from django.utils.text import slugify

from apps.accounts.models import Workspace
from apps.core.errors import Invalid
from apps.core.form_groups import Group
from apps.deployments.backends.offers import offered
from apps.deployments.explainer_forms import METHODS, OWN, ExplainerForm
from apps.deployments.models import Deployment, EnvironmentVariable, UseCase
from apps.deployments.selectors import deployments_of
from apps.deployments.services import RunSettings, check_may_run
from apps.deployments.transformer_forms import TransformerForm
from apps.registry.models import ModelVersion


def versions_of(workspace: Workspace) -> QuerySet[ModelVersion]:
    """The model versions of a workspace that can run here, newest of each model first."""
    return (
        ModelVersion.objects.filter(model__workspace=workspace)
        .exclude(framework=ModelVersion.Framework.EXTERNAL)
        .select_related("model", "artifact")
        .order_by("model__name", "-number")
    )


def is_custom(workspace: Workspace, identifier: Any) -> bool:
    """True where this is the id of a custom image's version."""
    try:
        wanted = UUID(str(identifier))
    except ValueError:
        return False
    custom = ModelVersion.Framework.CUSTOM
    return versions_of(workspace).filter(pk=wanted, framework=custom).exists()


def offer(form: forms.BaseForm, name: str, rows: QuerySet[Any]) -> None:
    """Lets a choice field of `form` choose among `rows`."""
    field = form.fields[name]
    assert isinstance(field, forms.ModelChoiceField)
    field.queryset = rows


class UseCaseField(forms.ModelChoiceField):
    """Names each use case with its risk class."""

    def label_from_instance(self, obj: Any) -> str:
        return f"{obj.name} · {obj.get_risk_display().lower()}"


class PurposeForm(forms.Form):
    """First step: the purpose, which carries the risk class."""

    use_case = UseCaseField(
        UseCase.objects.none(), label="Use case", required=False, empty_label="A new one"
    )
    new_use_case = forms.CharField(
        label="New use case", max_length=80, required=False,
        help_text="The purpose that the deployment serves, such as Loan origination.",
    )  # fmt: skip
    risk = forms.ChoiceField(
        label="Risk class of the new use case", choices=UseCase.Risk.choices, required=False,
        help_text="As in the EU AI Act. Credit scoring of people is high risk (Annex III, 5b).",
    )  # fmt: skip

    def __init__(self, workspace: Workspace, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.workspace = workspace
        offer(self, "use_case", UseCase.objects.filter(workspace=workspace))
        field: Any
        for field in self.fields.values():
            field.is_alternative = True  # one of them is needed, so none is called optional

    def clean_risk(self) -> str:
        return self.cleaned_data["risk"] or str(UseCase.Risk.UNCLASSIFIED)

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or {}
        name = data.get("new_use_case", "")
        if data.get("use_case") and name:
            self.add_error("new_use_case", "Choose a use case or name a new one, not both.")
        elif name and self.workspace.use_cases.filter(name__iexact=name).exists():
            self.add_error("new_use_case", f"There is a use case called {name}; choose it above.")
        elif not name and not data.get("use_case") and "use_case" not in self.errors:
            self.add_error("new_use_case", "Choose a use case above, or name a new one here.")
        return data


class VersionForm(forms.Form):
    """Second step: which model version."""

    version = forms.ModelChoiceField(
        ModelVersion.objects.none(), label="Model version", empty_label="Choose a version"
    )

    def __init__(self, workspace: Workspace, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.workspace = workspace
        offer(self, "version", versions_of(workspace))

    def clean_version(self) -> ModelVersion:
        version: ModelVersion = self.cleaned_data["version"]
        try:
            check_may_run(version, self.workspace)
        except Invalid as error:
            raise forms.ValidationError(error.message) from None
        return version


HOW_IT_RUNS = Group(
    "How the model runs",
    ("min_replicas", "memory_mb", "threads", "load_timeout_seconds", "backend"),
)
CONTAINER = Group("What the container gets", ("args", "variables"))


class RunForm(forms.Form):
    """How many model servers, and what each may take."""

    min_replicas = forms.IntegerField(
        label="Model servers", min_value=1, max_value=32, initial=1,
        help_text="Two or more keep answering while one restarts.",
    )  # fmt: skip
    memory_mb = forms.IntegerField(
        label="Memory for each, in MB", min_value=128, max_value=1024 * 1024, initial=2048
    )
    threads = forms.IntegerField(label="Threads for each", min_value=1, max_value=64, initial=1)
    load_timeout_seconds = forms.IntegerField(
        label="Time to load, in seconds", min_value=5, max_value=3600, initial=120,
        help_text="A revision that is not ready by then is given up; the old one keeps serving.",
    )  # fmt: skip

    backend = forms.ChoiceField(label="Runs as", required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        usual = self.initial.get("backend") or settings.DEFAULT_BACKEND
        offer_now = offered(kept=usual)
        field: Any = self.fields["backend"]
        field.choices, field.initial = offer_now.choices, usual
        field.help_text, field.is_alternative = offer_now.missing, True

    def run_settings(self) -> RunSettings:
        return self.run_settings_of(self.cleaned_data)

    @staticmethod
    def run_settings_of(data: dict[str, Any]) -> RunSettings:
        return RunSettings(
            min_replicas=data["min_replicas"],
            max_replicas=data["min_replicas"],
            memory_mb=data["memory_mb"],
            threads=data["threads"],
            load_timeout_seconds=data["load_timeout_seconds"],
        )


class ContainerForm(RunForm):
    """How it runs, and what the containers of a custom image get."""

    args = forms.CharField(
        label="Arguments of the container", required=False, strip=False,
        widget=forms.Textarea({"rows": 3, "class": "mono", "spellcheck": "false"}),
        help_text="One a line, as its entry point takes them.",
    )  # fmt: skip
    variables = forms.ModelMultipleChoiceField(
        EnvironmentVariable.objects.none(), label="Environment variables", required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text="Kept in the workspace's settings, under Variables.",
    )  # fmt: skip

    def offer_container(self, workspace: Workspace, *, is_custom: bool) -> None:
        """Leaves out what only custom images take where no such version can be meant."""
        if not is_custom:
            del self.fields["args"], self.fields["variables"]
            return
        rows = EnvironmentVariable.objects.filter(workspace=workspace)
        offer(self, "variables", rows)
        if not rows.exists():
            del self.fields["variables"]

    def config(self) -> dict[str, Any]:
        return self.config_of(self.cleaned_data)

    @staticmethod
    def config_of(data: dict[str, Any]) -> dict[str, Any]:
        lines = [line.strip() for line in data.get("args", "").splitlines()]
        return {
            "args": [line for line in lines if line],
            "variableIds": [str(row.id) for row in data.get("variables") or ()],
        }


class NameForm(forms.Form):
    """What a deployment is called, and what for."""

    name = forms.CharField(label="Name", max_length=80)
    description = forms.CharField(
        label="Description", max_length=500, required=False, widget=forms.Textarea({"rows": 3})
    )
    workspace: Workspace

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        slug = slugify(name)[:80]
        if not slug:
            raise forms.ValidationError("The address needs at least one letter or digit.")
        if deployments_of(self.workspace).filter(slug=slug).exists():
            raise forms.ValidationError(
                f"There is a deployment called {name} already; choose another name."
            )
        return name


class DetailsForm(ContainerForm, NameForm):
    """Fifth step: the name, and how it runs."""

    durability = forms.ChoiceField(
        label="Record", choices=Deployment.Durability.choices, initial="committed",
        help_text="Before the answer, a record cannot be lost; after it, answers are quicker.",
    )  # fmt: skip
    field_order = ("name", "description", "durability")
    groups = (HOW_IT_RUNS, CONTAINER)

    def __init__(self, workspace: Workspace, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.workspace = workspace
        version = self.data.get("version") or self.initial.get("version")
        image = is_custom(workspace, version)
        self.offer_container(workspace, is_custom=image)
        if image:
            self._offer_engines()

    def _offer_engines(self) -> None:
        """An image runs in an engine, never as a process."""
        field: Any = self.fields["backend"]
        field.choices = [(name, label) for name, label in field.choices if name != "process"]
        field.required = True
        if field.initial == "process" and field.choices:
            field.initial = self.initial["backend"] = field.choices[0][0]


class RevisionForm(ContainerForm, TransformerForm, ExplainerForm):
    """A new revision: another version, transformer or explainer, or other settings."""

    version = forms.ModelChoiceField(
        ModelVersion.objects.none(), label="Model version", empty_label=None
    )
    note = forms.CharField(label="What changes, and why", max_length=300, required=False)
    field_order = ("version", "note")
    groups = (
        METHODS,
        OWN,
        Group("Transformer", ("transformer*",), folded=True),
        HOW_IT_RUNS,
        CONTAINER,
    )

    def __init__(self, workspace: Workspace, *args: Any, **kwargs: Any) -> None:
        super().__init__(workspace, *args, **kwargs)
        versions = versions_of(workspace)
        offer(self, "version", versions)
        images = versions.filter(framework=ModelVersion.Framework.CUSTOM)
        self.offer_container(workspace, is_custom=images.exists())


class AboutForm(forms.ModelForm):
    """What is no part of a revision."""

    class Meta:
        model = Deployment
        fields = ("name", "description", "use_case", "durability")
        labels = {"durability": "Record"}
        widgets = {"description": forms.Textarea({"rows": 3})}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        workspace = self.instance.workspace
        offer(self, "use_case", UseCase.objects.filter(workspace=workspace))

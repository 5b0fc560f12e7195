"""The part of the deployment forms that describes an explainer."""

import json
from typing import Any
from uuid import UUID

from django import forms
from django.http import QueryDict

from apps.accounts.models import User, Workspace
from apps.core.errors import Invalid
from apps.core.form_groups import Group
from apps.deployments.explainer_checks import check_methods
from apps.deployments.explainer_choice import WORDS, left_out, proposals
from apps.deployments.explainer_files import backgrounds_in, explainers_in
from apps.deployments.explainer_settings import NO_EXPLAINER, Explainer, Method, methods_of
from apps.deployments.explainers import explainer_of
from apps.deployments.models import EnvironmentVariable, Revision
from apps.deployments.run_settings import RunSettings
from apps.deployments.workspace_form import WorkspaceForm
from apps.registry.models import Artifact, ModelVersion
from apps.serving.methods import CUSTOM

METHODS = Group(
    "Explainer",
    (
        "explainers", "explainer_more", "explainer_background", "explainer_rows",
        "explainer_seed", "explainer_replicas", "explainer_memory_mb", "explainer_said",
    ),
)  # fmt: skip
OWN = Group(
    "An explainer of your own",
    (
        "explainer_module", "explainer_reason", "explainer_image", "explainer_port",
        "explainer_readiness", "explainer_args", "explainer_variables",
    ),
    folded=True,
)  # fmt: skip


class BackgroundField(forms.ModelChoiceField):
    """Names each table with its rows and the day on which it came."""

    def label_from_instance(self, obj: Any) -> str:
        rows = obj.scan.get("rows")
        size = f" · {rows:,} rows" if rows else ""
        return f"{obj.filename}{size} · {obj.created_at:%Y-%m-%d} · {obj.sha256[:8]}"


class ExplainerModuleField(forms.ModelChoiceField):
    """Names each module with the day on which it came."""

    def label_from_instance(self, obj: Any) -> str:
        return f"{obj.filename} · {obj.created_at:%Y-%m-%d} · {obj.sha256[:8]}"


class ExplainerForm(WorkspaceForm):
    """Methods chosen among those proposed, others with settings, and what they measure against."""

    explainers = forms.MultipleChoiceField(
        label="Methods", required=False, widget=forms.CheckboxSelectMultiple,
        help_text="Each explains every request that asks for it; callers may pick by name.",
    )  # fmt: skip
    explainer_more = forms.CharField(
        label="Methods with settings", required=False, max_length=50_000,
        widget=forms.Textarea({"rows": 4, "class": "mono", "spellcheck": "false"}),
        help_text='A JSON list of {"name", "method", "settings"}, such as reason codes with their '
        "catalogue.",
    )  # fmt: skip
    explainer_background = BackgroundField(
        Artifact.objects.none(), label="Background", required=False,
        empty_label="The version's reference data",
        help_text="The rows that explanations are measured against. Anchors need rows that the "
        "model was not trained on.",
    )  # fmt: skip
    explainer_module = ExplainerModuleField(
        Artifact.objects.none(), label="A module of your own", required=False, empty_label="None",
        help_text="Python code with explain(instances, predict). It is the method custom.",
    )  # fmt: skip
    explainer_reason = forms.CharField(
        label="Why the module may run", max_length=500, required=False,
        help_text="It is code, which runs as it is written. Say who read it.",
    )  # fmt: skip
    explainer_image = forms.CharField(
        label="Or an image instead of all these", max_length=300, required=False,
        help_text="Its server answers POST /v1/models/model:explain, with a model of its own.",
    )  # fmt: skip
    explainer_port = forms.IntegerField(
        label="Port of the explainer's image", min_value=1, max_value=65535, initial=8080,
        required=False,
    )  # fmt: skip
    explainer_readiness = forms.CharField(
        label="Path at which it says that it is ready", max_length=200, required=False,
        help_text="Empty: any of the usual ones.",
    )  # fmt: skip
    explainer_args = forms.CharField(
        label="Arguments of the explainer's container", required=False, strip=False,
        widget=forms.Textarea({"rows": 2, "class": "mono", "spellcheck": "false"}),
        help_text="One a line.",
    )  # fmt: skip
    explainer_variables = forms.ModelMultipleChoiceField(
        EnvironmentVariable.objects.none(), label="Environment variables of the explainer's image",
        required=False, widget=forms.CheckboxSelectMultiple,
        help_text="Kept in the workspace's settings, under Variables.",
    )  # fmt: skip
    explainer_rows = forms.IntegerField(
        label="Rows of it, at most", min_value=2, max_value=100_000, initial=1000, required=False
    )
    explainer_seed = forms.IntegerField(
        label="Seed", min_value=0, max_value=2**31 - 1, initial=0, required=False,
        help_text="The same seed gives the same explanation.",
    )  # fmt: skip
    explainer_replicas = forms.IntegerField(
        label="Its servers", min_value=1, max_value=32, initial=1, required=False
    )
    explainer_memory_mb = forms.IntegerField(
        label="Memory for each of its servers, in MB", min_value=256, max_value=1024 * 1024,
        initial=2048, required=False,
    )  # fmt: skip
    groups: tuple[Group, ...] = (OWN,)
    # Tells a form in which nothing is ticked from one that was not seen yet.
    explainer_said = forms.CharField(required=False, initial="1", widget=forms.HiddenInput)

    def __init__(self, workspace: Workspace, *args: Any, **kwargs: Any) -> None:
        super().__init__(workspace, *args, **kwargs)
        for name, each in self.fields.items():
            if name.startswith("explainer"):
                each.is_alternative = True  # type: ignore[attr-defined]
        background: Any = self.fields["explainer_background"]
        background.queryset = backgrounds_in(workspace)
        module: Any = self.fields["explainer_module"]
        module.queryset = explainers_in(workspace)
        variables: Any = self.fields["explainer_variables"]
        variables.queryset = EnvironmentVariable.objects.filter(workspace=workspace)
        if not variables.queryset.exists():
            del self.fields["explainer_variables"]
        version = self._version()
        reference = getattr(version, "reference", None) if version else None
        if reference:
            background.empty_label = f"The version's reference data · {reference.rows:,} rows"
        elif version:
            background.empty_label = "None: this version has no reference data"
        self._offer(version)

    def _version(self) -> ModelVersion | None:
        chosen = self.data.get("version") or self.initial.get("version")
        if isinstance(chosen, ModelVersion):
            return chosen
        try:
            wanted = UUID(str(chosen))
        except ValueError:
            return None
        return ModelVersion.objects.filter(id=wanted, model__workspace=self.workspace).first()

    def _offer(self, version: ModelVersion | None) -> None:
        """What suits the version, and what was chosen before."""
        found = proposals(version, background=backgrounds_in(self.workspace).exists())
        offered = {each.method: each.label for each in found}
        for method in [*self.initial.get("explainers", ()), *_said(self.data)]:
            if method in WORDS:
                offered.setdefault(method, WORDS[method].name)
        field: Any = self.fields["explainers"]
        field.choices = list(offered.items())
        if not found:
            field.help_text = "None of the methods here suits this kind of model."
        if why := left_out(version):
            field.help_text = f"{field.help_text} {why}" if found else why
        if "explainers" not in self.initial:
            self.initial["explainers"] = [each.method for each in found if each.recommended]

    def clean_explainer_more(self) -> str:
        text: str = self.cleaned_data["explainer_more"].strip()
        try:
            check_methods(methods_of(json.loads(text)) if text else (), has_module=True)
        except ValueError as error:
            raise forms.ValidationError(f"This is not JSON: {error}") from None
        except Invalid as error:
            raise forms.ValidationError(error.message) from None
        return text

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or {}
        module, image = data.get("explainer_module"), data.get("explainer_image")
        if image and (_methods(data) or module or data.get("explainer_background")):
            self.add_error(
                "explainer_image",
                "An image explains alone: untick the methods and choose no module and no "
                "background, or leave the image empty.",
            )
        elif module and not (data.get("explainer_reason") or "").strip():
            self.add_error(
                "explainer_reason", "Say why the code of this module may run here; read it first."
            )
        if "explainer_more" in data and "explainers" in data:
            try:
                check_methods(_methods(data), has_module=module is not None)
            except Invalid as error:
                self.add_error("explainer_more", error.message)
        return data

    @staticmethod
    def explainer_of(data: dict[str, Any], by: User) -> Explainer:
        """What the cleaned form says."""
        replicas = data.get("explainer_replicas") or 1
        run = RunSettings(
            min_replicas=replicas,
            max_replicas=replicas,
            memory_mb=data.get("explainer_memory_mb") or 2048,
        )
        if data.get("explainer_image"):
            return _image(data, run)
        module = data.get("explainer_module")
        asked = Explainer(
            methods=_methods(data),
            background=data.get("explainer_background"),
            module=module,
            reason=data.get("explainer_reason") or "" if module else "",
            answered_by=by.name if module else "",
            rows=data.get("explainer_rows") or 1000,
            seed=data.get("explainer_seed") or 0,
            run=run,
        )
        return asked if asked.is_given else NO_EXPLAINER


def _image(data: dict[str, Any], run: RunSettings) -> Explainer:
    lines = [line.strip() for line in (data.get("explainer_args") or "").splitlines()]
    return Explainer(
        image=data["explainer_image"],
        port=data.get("explainer_port") or 8080,
        readiness_path=data.get("explainer_readiness") or "",
        args=tuple(line for line in lines if line),
        variable_ids=tuple(str(row.id) for row in data.get("explainer_variables") or ()),
        run=run,
    )


def said_before(query: QueryDict) -> dict[str, Any]:
    """What a query says of a form, with all values of what takes several."""
    several = ("variables", "explainer_variables")
    lists = {name: query.getlist(name) for name in several if name in query}
    if "explainer_said" in query:
        lists["explainers"] = query.getlist("explainers")
    return query.dict() | lists


def _said(data: Any) -> list[str]:
    return list(data.getlist("explainers")) if hasattr(data, "getlist") else []


def _methods(data: dict[str, Any]) -> tuple[Method, ...]:
    plain = tuple(Method(method, method) for method in data.get("explainers") or ())
    more = data.get("explainer_more") or ""
    return plain + (methods_of(json.loads(more)) if more else ())


def initial_explainer(revision: Revision) -> dict[str, Any]:
    """What a new revision's form starts from."""
    kept = explainer_of(revision)
    if kept is None:
        return {"explainers": []}
    if kept.image:
        return {"explainers": []} | _initial_image(kept)
    own = (Method(CUSTOM, CUSTOM),) if kept.module else ()
    plain = [m for m in kept.methods if m.name == m.method and not m.settings and m.method in WORDS]
    more = [method.as_json() for method in kept.methods if method not in [*plain, *own]]
    return {
        "explainers": [method.method for method in plain],
        "explainer_more": json.dumps(more, indent=1, ensure_ascii=False) if more else "",
        "explainer_background": kept.background,
        "explainer_module": kept.module,
        "explainer_reason": kept.reason,
        "explainer_rows": kept.rows,
        "explainer_seed": kept.seed,
        "explainer_replicas": kept.run.min_replicas,
        "explainer_memory_mb": kept.run.memory_mb,
    }


def _initial_image(kept: Explainer) -> dict[str, Any]:
    return {
        "explainer_image": kept.image,
        "explainer_port": kept.port,
        "explainer_readiness": kept.readiness_path,
        "explainer_args": "\n".join(kept.args),
        "explainer_variables": kept.variable_ids,
        "explainer_replicas": kept.run.min_replicas,
        "explainer_memory_mb": kept.run.memory_mb,
    }


class ExplainerModuleForm(forms.Form):
    """The upload of a module."""

    explainer_file = forms.FileField(
        label="Module", help_text="explainer.py, or a zip with it and what it imports."
    )


class BackgroundForm(forms.Form):
    """The upload of a background."""

    background_file = forms.FileField(
        label="Table", help_text="CSV or Parquet, with a column for each feature of the model."
    )

"""The way from a file to a version: upload, review, publish."""

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods, require_POST

from apps.accounts.access import can, require, workspace_for
from apps.core.errors import DomainError, Invalid
from apps.registry import cards, compatibility, services
from apps.registry.forms import (
    DetailsForm,
    FeatureForm,
    FeatureForms,
    MetadataForm,
    PredictionForm,
    SampleForm,
    UploadForm,
    show_refusal,
)
from apps.registry.metadata import parsed
from apps.registry.models import Draft, ModelVersion
from apps.registry.selectors import drafts_of, find_model
from apps.registry.services import Upload
from apps.registry.views.frame import show
from apps.registry.views.source_tabs import tabs

_MOST_IN_TABLE = 100


@require_http_methods(["GET", "POST"])
def upload(request, workspace_slug, model_slug=None):
    workspace = workspace_for(request, workspace_slug)
    require(request.user, "model.create", workspace)
    model = find_model(workspace, model_slug) if model_slug else None
    form = UploadForm(request.POST or None, request.FILES or None)
    if request.method == "POST" and form.is_valid():
        try:
            draft = _staged(request, workspace, model, form.cleaned_data)
        except DomainError as error:
            show_refusal(form, error)
        else:
            return redirect("registry:draft", workspace.slug, draft.id)
    context = {
        "form": form,
        "model": model,
        "drafts": drafts_of(request.user, workspace),
        "tabs": tabs(workspace, model, "upload"),
    }
    return show(request, "registry/upload.html", context, status=400 if form.errors else 200)


def _staged(request, workspace, model, files) -> Draft:
    metadata, problem = None, ""
    if files["metadata"]:
        try:
            metadata = parsed(files["metadata"].read())
        except Invalid as error:
            problem = error.message
    draft = services.stage_upload(
        workspace=workspace,
        model=model,
        artifact=_upload(files["artifact"]),
        metadata=metadata,
        sample=_upload(files["sample"]) if files["sample"] else None,
        by=request.user,
    )
    if problem:
        messages.error(request, f"{problem} The rest was taken.")
    return draft


def _upload(file) -> Upload:
    return Upload(file.name, file.chunks())


def _own_draft(request, workspace_slug, draft_id) -> Draft:
    workspace = workspace_for(request, workspace_slug)
    require(request.user, "model.create", workspace)
    draft = drafts_of(request.user, workspace).filter(pk=draft_id).first()
    if draft is None:
        raise Http404("There is no such upload; it was finished, discarded, or left for a week.")
    return draft


@require_http_methods(["GET", "POST"])
def draft(request, workspace_slug, draft_id):
    draft = _own_draft(request, workspace_slug, draft_id)
    forms = _forms(request, draft)
    if request.method == "POST" and all(form.is_valid() for form in forms.values()):
        retargeted = _save(draft, forms)
        if request.POST.get("act") != "publish" or retargeted:
            text = "The features were made anew without the target." if retargeted else "Saved."
            messages.success(request, text)
            return redirect(_here(request, workspace_slug, draft))
        try:
            version = services.publish_draft(draft=draft, by=request.user)
        except DomainError as error:
            show_refusal(forms["details"], error)
        else:
            return _published(request, version)
    return _review(request, draft, forms)


def _here(request, workspace_slug, draft):
    address = redirect("registry:draft", workspace_slug, draft.id).url
    return f"{address}?as=json" if request.GET.get("as") == "json" else address


def _forms(request, draft):
    """The forms of the review, by name: the features as a table, or all metadata as JSON."""
    data = request.POST if request.method == "POST" else None
    start = {
        "name": draft.name,
        "target": draft.target,
        "notes": draft.notes,
        "model_card": draft.model_card,
        "data_card": draft.data_card,
    }
    forms = {"details": DetailsForm(data, initial=start, draft=draft)}
    features = draft.metadata.get("features") or []
    if request.GET.get("as") == "json" or not _fits_table(features):
        initial = MetadataForm.initial_of(draft.metadata)
        return forms | {"metadata": MetadataForm(data, initial=initial)}
    return forms | {
        "prediction": PredictionForm(data, initial=PredictionForm.initial_of(draft.metadata)),
        "features": FeatureForms(
            data,
            initial=[FeatureForm.initial_of(f) for f in features],
            form_kwargs={"names": [f["name"] for f in features]},
            prefix="feature",
        ),
    }


def _fits_table(features) -> bool:
    plain = isinstance(features, list) and all(
        isinstance(f, dict) and isinstance(f.get("name"), str) for f in features
    )
    return plain and len(features) <= _MOST_IN_TABLE


def _save(draft, forms) -> bool:
    """Keeps what the forms hold; true where another target made the features anew."""
    given = dict(forms["details"].cleaned_data)
    if "metadata" in forms:
        given["metadata"] = forms["metadata"].cleaned_data["metadata"]
    else:
        features = draft.metadata.get("features") or []
        pairs = zip(forms["features"], features, strict=False)
        metadata = draft.metadata | {"features": [form.into(each) for form, each in pairs]}
        given["metadata"] = forms["prediction"].into(metadata)
    before = draft.target
    services.change_draft(draft=draft, **given)
    return bool(draft.target != before)


def _review(request, draft, forms):
    found = draft.detected
    context = {
        "draft": draft,
        "forms": forms,
        "framework": dict(ModelVersion.Framework.choices)[found["framework"]],
        "warning": compatibility.warning(
            found["framework"], found["format"], found["framework_version"]
        ),
        "sample_form": SampleForm(),
        "as_json": "metadata" in forms,
        "too_wide": not _fits_table(draft.metadata.get("features") or []),
    }
    failed = request.method == "POST"
    return show(request, "registry/draft.html", context, status=400 if failed else 200)


def _published(request, version):
    model = version.model
    messages.success(request, f"{version} is in the registry.")
    return redirect("registry:version_detail", model.workspace.slug, model.slug, version.number)


@require_POST
def draft_sample(request, workspace_slug, draft_id):
    draft = _own_draft(request, workspace_slug, draft_id)
    form = SampleForm(request.POST, request.FILES)
    if form.is_valid():
        services.replace_sample(draft=draft, sample=_upload(form.cleaned_data["sample"]))
    else:
        messages.error(request, "Choose a file first.")
    return redirect("registry:draft", workspace_slug, draft.id)


@require_POST
def discard(request, workspace_slug, draft_id):
    draft = _own_draft(request, workspace_slug, draft_id)
    services.discard_draft(draft=draft)
    messages.success(request, f"The upload of {draft.filename} was discarded.")
    return redirect("registry:model_list", workspace_slug)


@require_POST
def card_preview(request, workspace_slug):
    """The HTML of a card while it is written."""
    workspace = workspace_for(request, workspace_slug)
    if not any(can(request.user, right, workspace) for right in ("model.document", "model.create")):
        raise PermissionDenied("You have no right to write cards here.")
    text = next((request.POST[k] for k in ("model_card", "data_card") if k in request.POST), "")
    return HttpResponse(cards.render(text) or "<p class='faint'>Nothing written yet.</p>")

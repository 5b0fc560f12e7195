"""A person's own key pairs."""

from uuid import UUID

from django.contrib import messages
from django.http import Http404
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from apps.accounts import services
from apps.accounts.forms import KeyPairForm
from apps.accounts.selectors import key_pairs_of, state_of


@never_cache
@require_http_methods(["GET", "POST"])
def keys(request):
    """Lists and makes key pairs; a secret stands in the answer to its POST and nowhere else."""
    form = KeyPairForm(request.POST or None)
    if request.method != "POST" or not form.is_valid():
        return _show(request, form, 400 if form.errors else 200)
    key_pair, secret = services.create_key_pair(
        user=request.user,
        name=form.cleaned_data["name"],
        expires_at=form.expires_at(timezone.now()),
    )
    return _show(request, KeyPairForm(), 201, {"made": key_pair, "secret": secret})


@require_POST
def key_revoke(request, identifier: UUID):
    key_pair = key_pairs_of(request.user).filter(pk=identifier).first()
    if key_pair is None:
        raise Http404("You have no such key pair.")
    services.revoke_key_pair(key_pair=key_pair, by=request.user.actor, now=timezone.now())
    messages.success(request, f"{key_pair.name} is revoked: it stops working within two seconds.")
    return redirect("accounts:keys")


def _show(request, form, status, made=None):
    now = timezone.now()
    rows = [{"key": each, "state": state_of(each, now)} for each in key_pairs_of(request.user)]
    context = {"rows": rows, "form": form, "base_url": request.build_absolute_uri("/workspaces")}
    return render(request, "accounts/keys.html", context | (made or {}), status=status)

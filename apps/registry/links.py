"""Addresses at which a node that shares no disk with us fetches one artifact: signed, expiring."""

import re
from urllib.parse import quote

from django.contrib.auth.decorators import login_not_required
from django.core.signing import BadSignature, TimestampSigner
from django.http import FileResponse, Http404, HttpRequest
from django.urls import reverse
from django.views.decorators.http import require_GET

from apps.registry import storage

_SALT = "artifact"
_VALID_SECONDS = 10 * 60


def signed_url(base: str, sha256: str) -> str:
    """Where the file of this digest can be fetched for ten minutes, below `base`."""
    signature = TimestampSigner(salt=_SALT).sign(sha256).partition(":")[2]
    return f"{base.rstrip('/')}{reverse('internal_artifact', args=[sha256])}?sig={quote(signature)}"


@login_not_required
@require_GET
def internal_artifact(request: HttpRequest, sha256: str) -> FileResponse:
    """The file, to whoever has a signature for it that has not expired."""
    signed = f"{sha256}:{request.GET.get('sig', '')}"
    try:
        TimestampSigner(salt=_SALT).unsign(signed, max_age=_VALID_SECONDS)
    except BadSignature:
        raise Http404("There is no such file, or its address has expired.") from None
    path = storage.path_of(sha256)
    if not re.fullmatch(r"[0-9a-f]{64}", sha256) or not path.is_file():
        raise Http404("There is no such file.")
    response = FileResponse(path.open("rb"))
    response["Content-Type"] = "application/octet-stream"
    return response

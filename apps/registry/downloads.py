"""Artifacts on their way out."""

from django.http import FileResponse, Http404

from apps.registry import storage
from apps.registry.models import Artifact


def download(artifact: Artifact) -> FileResponse:
    """The file under the name with which it came; never shown in the browser."""
    try:
        file = storage.path_of(artifact.sha256).open("rb")
    except FileNotFoundError:
        raise Http404("The file is not in the store any more.") from None
    response = FileResponse(file, as_attachment=True, filename=artifact.filename)
    response["Content-Type"] = "application/octet-stream"
    response["X-Content-Type-Options"] = "nosniff"
    response["X-Checksum-Sha256"] = artifact.sha256
    return response

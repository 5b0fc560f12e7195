"""The manner of the API: JSON errors with `statusCode` and `message`, whatever happens."""

import logging
from collections.abc import Iterator
from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from rest_framework.exceptions import (
    APIException,
    NotAuthenticated,
    NotFound,
    ValidationError,
)
from rest_framework.exceptions import (
    PermissionDenied as ApiPermissionDenied,
)
from rest_framework.response import Response
from rest_framework.views import set_rollback

from apps.core.errors import DomainError

log = logging.getLogger(__name__)


def error_body(
    status: int, message: str, errors: list[dict[str, Any]] | None = None
) -> dict[str, Any]:
    body: dict[str, Any] = {"statusCode": status, "message": message}
    return body | {"errors": errors} if errors else body


def error_response(error: Exception, context: dict[str, Any]) -> Response:
    """The answer of every API view to an exception."""
    set_rollback()
    if isinstance(error, DomainError):
        return Response(error_body(error.status, error.message, error.errors), error.status)
    if isinstance(error, Http404):
        error = NotFound(str(error) or "There is nothing at this address.")
    elif isinstance(error, PermissionDenied):
        error = ApiPermissionDenied(str(error) or None)
    if isinstance(error, ValidationError):
        errors = list(_field_errors(error.detail))
        first = errors[0]
        where = f"{first['field']}: " if first["field"] else ""
        return Response(error_body(400, f"{where}{first['message']}", errors), 400)
    if isinstance(error, APIException):
        headers = {}
        if isinstance(error, NotAuthenticated) or getattr(error, "auth_header", None):
            headers["WWW-Authenticate"] = getattr(error, "auth_header", 'Basic realm="api"')
        return Response(
            error_body(error.status_code, str(error.detail)), error.status_code, headers=headers
        )
    log.error("An API view failed", exc_info=error)
    return Response(error_body(500, "Something failed here; the error is in the log."), 500)


def _field_errors(detail: Any, path: str = "") -> Iterator[dict[str, str]]:
    if isinstance(detail, dict):
        for key, value in detail.items():
            here = "" if key == "non_field_errors" else str(key)
            yield from _field_errors(value, ".".join(part for part in (path, here) if part))
    elif isinstance(detail, list) and any(isinstance(item, dict | list) for item in detail):
        for index, item in enumerate(detail):
            yield from _field_errors(item, f"{path}[{index}]")
    else:
        for message in detail if isinstance(detail, list) else [detail]:
            yield {"field": path, "message": str(message)}


@csrf_exempt
@login_not_required
def not_found(request: HttpRequest, *_: Any, **__: Any) -> JsonResponse:
    """The answer to an API path that does not exist."""
    return JsonResponse(error_body(404, f"There is no {request.path} here."), status=404)

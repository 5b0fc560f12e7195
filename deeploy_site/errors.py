"""What a request gets that leads nowhere: JSON for programs, a page for people, a line for htmx."""

import sys
from typing import Any

from django.contrib.auth.middleware import LoginRequiredMiddleware
from django.contrib.auth.views import redirect_to_login
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.template.loader import render_to_string
from django_htmx.http import HttpResponseClientRedirect

from apps.core.api import error_body

_PAGES = ("/w/", "/account/", "/settings/", "/static/", "/audit/")
_API = ("/workspaces", "/api/", "/v1/", "/v2/")
_MESSAGES = {
    400: "This request cannot be understood.",
    403: "Your role does not include this. The workspace's owner can change that.",
    404: "There is nothing at this address.",
    500: "Something failed here; the error is in the log.",
    503: "The database does not answer. Try again in a moment.",
}


class LoginRequired(LoginRequiredMiddleware):
    """Sends a page, not a fragment of it, to the sign-in when the session is over."""

    def handle_no_permission(  # type: ignore[override]
        self, request: HttpRequest, view_func: Any
    ) -> HttpResponseBase:
        htmx = getattr(request, "htmx", None)
        if not htmx or htmx.boosted:
            return super().handle_no_permission(request, view_func)
        target = redirect_to_login(htmx.current_url_abs_path or "/", self.get_login_url(view_func))
        return HttpResponseClientRedirect(target["Location"])


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return _answer(request, 400)


def forbidden(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """A refusal may know where one goes on: its `url`, under its `title`."""
    title, url = getattr(exception, "title", ""), getattr(exception, "url", "")
    return _answer(request, 403, str(exception or ""), title, url)


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return _answer(request, 404)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """A form that was open for longer than its session, or that came from elsewhere."""
    message = (
        "The page was open too long, or cookies are off, so we cannot tell that this form came "
        "from you. Nothing was changed. Go back, load the page anew, and send it again."
    )
    return _answer(request, 403, message, "This form is out of date")


def server_error(request: HttpRequest) -> HttpResponse:
    """Uses neither the session nor the database, which may be what failed."""
    is_away = isinstance(sys.exc_info()[1], OperationalError | InterfaceError)
    answer = _answer(request, 503 if is_away else 500)
    if is_away:
        answer["Retry-After"] = "5"
    return answer


def _answer(
    request: HttpRequest, status: int, message: str = "", title: str = "", url: str = ""
) -> HttpResponse:
    message = message or _MESSAGES[status]
    if wants_json(request):
        return JsonResponse(error_body(status, message), status=status)
    if request.headers.get("HX-Request") == "true" and "HX-Boosted" not in request.headers:
        return HttpResponse(message, status=status, content_type="text/plain")
    page = render_to_string(f"{status}.html", {"message": message, "title": title, "url": url})
    return HttpResponse(page, status=status)


def wants_json(request: HttpRequest) -> bool:
    """True on the API's paths, and on unknown ones unless the caller asks for HTML by name."""
    if request.path.startswith(_PAGES) or request.path == "/":
        return False
    if request.path.startswith(_API):
        return True
    return "text/html" not in request.headers.get("Accept", "")

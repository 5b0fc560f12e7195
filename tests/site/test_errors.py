"""What leads nowhere: a page for people, JSON for programs, a line for htmx, never silence."""

from typing import Any
from unittest.mock import patch

import pytest
from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.db import OperationalError
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory, override_settings
from django.urls import path

from apps.accounts.models import User, Workspace
from deeploy_site import errors
from deeploy_site.urls import handler400, handler403, handler404, handler500  # noqa: F401
from deeploy_site.urls import urlpatterns as real

HTMX = {"HX-Request": "true"}
JSON = {"Accept": "application/json"}
HTML = {"Accept": "text/html,application/xhtml+xml"}


def raises(error: Exception) -> Any:
    def view(request: HttpRequest) -> HttpResponse:
        raise error

    view.login_required = False
    return view


FAILURES = {
    400: SuspiciousOperation("odd"),
    403: PermissionDenied("Ask the owner."),
    500: RuntimeError("secret detail"),
    503: OperationalError("connection refused"),
}
urlpatterns = [
    *(path(f"w/fails/{code}/", raises(error)) for code, error in FAILURES.items()),
    *(path(f"workspaces/fails/{code}", raises(error)) for code, error in FAILURES.items()),
    *real,
]


@pytest.fixture
def client() -> Client:
    return Client(raise_request_exception=False)


@pytest.fixture
def failing() -> Any:
    with override_settings(ROOT_URLCONF=__name__):
        yield


@pytest.mark.parametrize("code", FAILURES)
def test_a_page_that_fails_is_shown_in_our_frame_without_the_database(
    client: Client, failing: None, code: int
) -> None:
    """The test asks for no database, so that an access to it would fail it."""
    answer = client.get(f"/w/fails/{code}/")
    page = answer.content.decode()
    assert answer.status_code == code
    assert "<h1>" in page
    assert "css/base.css" in page
    assert "To the start" in page
    assert "secret detail" not in page


@pytest.mark.parametrize("code", FAILURES)
def test_an_api_path_that_fails_answers_in_json(client: Client, failing: None, code: int) -> None:
    answer = client.get(f"/workspaces/fails/{code}", headers=HTML)
    assert answer.status_code == code
    assert set(answer.json()) == {"statusCode", "message"}
    assert answer.json()["statusCode"] == code
    assert "secret detail" not in answer.content.decode()


@pytest.mark.parametrize("code", FAILURES)
def test_htmx_gets_a_line_to_show(client: Client, failing: None, code: int) -> None:
    answer = client.get(f"/w/fails/{code}/", headers=HTMX)
    assert answer.status_code == code
    assert answer["Content-Type"].startswith("text/plain")
    assert 10 < len(answer.content) < 200


def test_a_refusal_says_why(client: Client, failing: None) -> None:
    assert "Ask the owner." in client.get("/w/fails/403/").content.decode()


def test_a_database_that_is_away_is_no_error_of_ours(client: Client, failing: None) -> None:
    answer = client.get("/w/fails/503/")
    assert answer["Retry-After"] == "5"
    assert "The database does not answer" in answer.content.decode()


@pytest.mark.parametrize(
    ("address", "headers", "is_json"),
    [
        ("/w/nowhere/nothing/", {}, False),
        ("/w/nowhere/nothing/", JSON, False),
        ("/account/nowhere/", {}, False),
        ("/static/nowhere.css", {}, False),
        ("/nowhere", HTML, False),
        ("/nowhere", {}, True),
        ("/nowhere", JSON, True),
        ("/workspaces/x/nowhere", HTML, True),
        ("/api/nowhere", HTML, True),
    ],
)
def test_an_address_that_is_none(
    client: Client, address: str, headers: dict[str, str], is_json: bool
) -> None:
    answer = client.get(address, headers=headers)
    assert answer.status_code == 404
    assert answer["Content-Type"].startswith("application/json" if is_json else "text/html")


def test_a_form_that_is_out_of_date_says_so(owner: User, workspace: Workspace) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(owner, backend="allauth.account.auth_backends.AuthenticationBackend")
    answer = client.post("/w/retail-credit/deployments/new/", {"name": "x"})
    assert answer.status_code == 403
    assert "This form is out of date" in answer.content.decode()
    assert "Nothing was changed" in answer.content.decode()


def test_htmx_without_a_session_is_sent_to_the_sign_in_and_back(workspace: Workspace) -> None:
    page = "http://testserver/w/retail-credit/deployments/?q=1"
    answer = Client().get(
        "/w/retail-credit/deployments/x/progress/", headers=HTMX | {"HX-Current-URL": page}
    )
    assert answer.status_code == 200
    assert answer.content == b""
    to = answer["HX-Redirect"]
    assert to == "/account/login/?next=/w/retail-credit/deployments/%3Fq%3D1"


def test_htmx_from_a_foreign_page_is_sent_to_the_start(workspace: Workspace) -> None:
    answer = Client().get(
        "/w/retail-credit/deployments/", headers=HTMX | {"HX-Current-URL": "https://evil.example/"}
    )
    assert answer["HX-Redirect"] == "/account/login/?next=/"


def test_the_page_of_a_failure_needs_no_user(rf: RequestFactory) -> None:
    with patch("django.db.backends.utils.CursorWrapper.execute", side_effect=AssertionError):
        assert errors.server_error(rf.get("/w/x/")).status_code == 500

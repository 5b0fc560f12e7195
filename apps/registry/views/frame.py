"""The registry's place in the frame."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render


def show(
    request: HttpRequest, template: str, context: dict[str, Any], status: int = 200
) -> HttpResponse:
    """A whole page, with Models marked in the navigation."""
    return render(request, template, context | {"section": "models"}, status=status)

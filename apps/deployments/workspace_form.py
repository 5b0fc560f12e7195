"""The base of forms that offer what a workspace has."""

from typing import Any

from django import forms

from apps.accounts.models import Workspace


class WorkspaceForm(forms.Form):
    """A form of one workspace, so that several parts can be put together in one form."""

    def __init__(self, workspace: Workspace, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.workspace = workspace

"""What people type about people, workspaces and credentials."""

from datetime import datetime, timedelta

from django import forms

from apps.accounts.models import DeploymentToken, Membership, User, Workspace
from apps.core.errors import DomainError

EXPIRIES = [("30", "30 days"), ("90", "90 days"), ("365", "1 year"), ("never", "Never")]
_ADDRESS = forms.EmailInput({"autocomplete": "off"})


class ExpiringForm(forms.Form):
    """A name and how long a credential is good for."""

    name = forms.CharField(max_length=80, help_text="What uses it, so that it can be told apart.")
    expires = forms.ChoiceField(
        choices=EXPIRIES, initial="90", label="Expires after",
        help_text="A credential that expires limits what a leak can do.",
    )  # fmt: skip

    def expires_at(self, now: datetime) -> datetime | None:
        days = self.cleaned_data["expires"]
        return None if days == "never" else now + timedelta(days=int(days))


class TokenForm(ExpiringForm):
    """A new token of a deployment."""

    scopes = forms.MultipleChoiceField(
        choices=DeploymentToken.Scope.choices,
        initial=[DeploymentToken.Scope.PREDICT],
        widget=forms.CheckboxSelectMultiple,
        label="May",
        error_messages={"required": "Choose at least one."},
    )
    field_order = ("name", "scopes", "expires")


class KeyPairForm(ExpiringForm):
    """A new personal key pair."""


class MemberForm(forms.Form):
    """Somebody to add to a workspace, known here or not."""

    email = forms.EmailField(
        label="E-mail address", widget=forms.EmailInput({"autocomplete": "off"})
    )
    role = forms.ChoiceField(choices=Membership.Role.choices, initial=Membership.Role.REVIEWER)
    name = forms.CharField(
        max_length=120, required=False, help_text="For somebody who has no account here yet."
    )


class RoleForm(forms.Form):
    """A member's role."""

    role = forms.ChoiceField(choices=Membership.Role.choices)


class PersonForm(forms.Form):
    """Somebody new in the organisation."""

    email = forms.EmailField(
        label="E-mail address", widget=forms.EmailInput({"autocomplete": "off"})
    )
    name = forms.CharField(max_length=120, required=False)
    organisation_role = forms.ChoiceField(
        choices=User.OrganisationRole.choices, initial=User.OrganisationRole.USER,
        label="Organisation role",
    )  # fmt: skip


class OrganisationRoleForm(forms.Form):
    """A person's organisation role."""

    organisation_role = forms.ChoiceField(choices=User.OrganisationRole.choices)


class WorkspaceForm(forms.Form):
    """A workspace's name and description."""

    name = forms.CharField(max_length=Workspace._meta.get_field("name").max_length)
    description = forms.CharField(
        max_length=300, required=False, widget=forms.Textarea({"rows": 3}),
        help_text="What the team does here; shown to its members.",
    )  # fmt: skip


def show_refusal(form: forms.Form, error: DomainError) -> None:
    """Puts a service's refusal on the form."""
    form.add_error(None, error.message)

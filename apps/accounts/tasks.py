"""What the worker does for accounts."""

from django.core.mail import send_mail
from django.template.loader import render_to_string

from apps.accounts import invitations
from apps.accounts.models import User


def send_invitation(user_id: str, inviter: str, workspace: str) -> None:
    """Mails the link that sets the first password, unless one is set by now."""
    user = User.objects.filter(pk=user_id, is_active=True).first()
    if user is None or user.has_usable_password():
        return
    context = {
        "user": user,
        "inviter": inviter,
        "workspace": workspace,
        "link": invitations.link_for(user),
        "days": invitations.DAYS,
    }
    send_mail(
        subject=f"{inviter} invites you to Deeploy",
        message=render_to_string("accounts/email/invitation.txt", context),
        from_email=None,
        recipient_list=[user.email],
    )

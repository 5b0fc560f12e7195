"""What gateways are told."""

from django.db import connection


def notify_credentials() -> None:
    """Tells the gateways, when the transaction commits, to read the credentials again."""
    with connection.cursor() as cursor:
        cursor.execute("NOTIFY deeploy_credentials")

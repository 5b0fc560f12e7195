"""Turns a database URL into Django's settings and back into what psycopg takes."""

from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from deeploy_site.environment import ConfigurationError


def parse(url: str) -> dict[str, Any]:
    """Django's database settings for `postgresql://user:password@host:port/name?option=value`.

    A Unix socket is named by `?host=/directory`. Raises ConfigurationError for any other scheme:
    the product speaks one SQL dialect.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"postgres", "postgresql"}:
        raise ConfigurationError(
            f"DATABASE_URL starts with {parts.scheme or 'nothing'}://; it must be postgresql://"
        )
    options = dict(parse_qsl(parts.query))
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.lstrip("/")) or "postgres",
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": options.pop("host", parts.hostname or ""),
        "PORT": str(parts.port or options.pop("port", "")),
        "OPTIONS": options,
    }

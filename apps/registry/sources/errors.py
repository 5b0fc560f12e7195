"""How a fetch ends without a result."""

from apps.core.errors import DomainError


class SourceFailed(DomainError):
    """One sentence on what was wrong and where, one on what to do."""


class FetchCancelled(Exception):
    """Somebody asked for the end."""

"""Why a start ends early."""


class UpError(Exception):
    """The product cannot start; the message says why and what to do."""


class StopRequested(Exception):
    """Somebody pressed Ctrl-C or sent SIGTERM while the start was under way."""

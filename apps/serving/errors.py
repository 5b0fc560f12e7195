"""What a model server refuses, and how it says so."""


class ServingError(Exception):
    """A refusal with an HTTP status; the message is meant for the caller."""

    status = 500

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        if status is not None:
            self.status = status


class BadRequest(ServingError):
    """The request cannot be read or does not fit the model."""

    status = 400


class LoadError(ServingError):
    """The artifact cannot be turned into a working model; says what to do about it."""


class ModelFailure(ServingError):
    """The model raised, or gave something that is no valid output."""

"""What a service refuses, in words for people; views and the API turn it into an answer."""


class DomainError(Exception):
    """A refusal. `errors` names what is wrong where: `[{"field": "name", "message": "…"}]`."""

    status = 400

    def __init__(self, message: str, errors: list[dict[str, str]] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.errors = errors or []


class Invalid(DomainError):
    """What was sent does not fit."""


class Conflict(DomainError):
    """It contradicts what is there: a name in use, a thing still needed."""

    status = 409

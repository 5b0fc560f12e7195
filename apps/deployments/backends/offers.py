"""Which backends this installation can run a revision on now, in words for a choice."""

from dataclasses import dataclass

from apps.deployments.backends.base import BackendError
from apps.deployments.backends.engine import Engine

LABELS = {"process": "Process", "docker": "Container", "swarm": "Swarm service"}
_PATIENCE_SECONDS = 2


@dataclass(frozen=True, slots=True)
class Offer:
    """What can be chosen, by name and label; `missing` says why the others cannot."""

    choices: list[tuple[str, str]]
    missing: str = ""


def offered(*, kept: str = "") -> Offer:
    """The backends that answer, and `kept`, the one that is in use, whether it answers or not."""
    names, missing = _answering()
    wanted = [name for name in LABELS if name in names or name == kept]
    return Offer([(name, LABELS[name]) for name in wanted], missing)


def _answering() -> tuple[set[str], str]:
    engine = Engine(_PATIENCE_SECONDS)
    try:
        with engine.calls() as client:
            manages = client.info()["Swarm"].get("ControlAvailable", False)
    except BackendError as error:
        return {"process"}, f"Containers are not offered now. {error}"
    finally:
        engine.close()
    if manages:
        return set(LABELS), ""
    return {"process", "docker"}, "The engine manages no swarm, so services are not offered."

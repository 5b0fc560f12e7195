"""Says in a sentence what an event tells of; events carry codes, people read words.

The names come from higher layers, which only write them; whoever adds one adds its sentence here.
"""

import re
from typing import Any

import orjson

from apps.audit.models import Event

SENTENCES = {
    "actuals.recorded": "{count} actuals of {object} were recorded, {corrected} as corrections",
    "bundle.exported": "A bundle of {object} was exported",
    "checkpoint.created": "A checkpoint of all chains was signed",
    "credential.created": "The credential {object} was kept",
    "credential.deleted": "The credential {object} was deleted",
    "credential.renamed": "The credential {object} was renamed; before, {before}",
    "credential.replaced": "The credential {object} got new content",
    "credential.tested": "The credential {object} was tried",
    "dataset.exported": "Version {version} of the data set of {object} was made: {rows} rows",
    "dataset.opted_in": "A case of {object} may be in data sets again",
    "dataset.opted_out": "A case of {object} was opted out of data sets",
    "dataset.outdated": "Version {version} of the data set of {object} was removed: {reason}",
    "dataset.taken": "Version {version} of the data set of {object} was downloaded",
    "deployment.changed": "{object} was changed: {changes}",
    "deployment.created": "{object} was created for {useCase}",
    "deployment.deleted": "{object} was deleted",
    "deployment.not_revised": "{object} got no revision from its import: {reason}",
    "deployment.started": "{object} was started",
    "deployment.endpoint_back": "The endpoint behind {object} answers again",
    "deployment.endpoint_lost": "The endpoint behind {object} does not answer: {reason}",
    "deployment.stopped": "{object} was stopped",
    "environment.built": "The environment {object} was built as {kind}",
    "environment.cancelled": "A build of the environment {object} was cancelled",
    "environment.failed": "The environment {object} could not be built as {kind}",
    "environment.lost": "The files of the environment {object} were gone or damaged",
    "environment.removed": "A build of the environment {object} was removed",
    "environment.retried": "The environment {object} was asked for again",
    "environment.unavailable": "There is no {object} for this Python; own packages try the model",
    "evaluation.corrected": "An evaluation of a prediction of {object} was corrected",
    "evaluation.given": "A prediction of {object} was evaluated",
    "evaluation.withdrawn": "An evaluation of a prediction of {object} was withdrawn",
    "explanation.made": "A prediction of {object} was explained by {name}",
    "explanation.trial_asked": "Explainers of {object} were tried out: {names}",
    "explanation.summary_asked": "What {object} believes in general was asked for",
    "import.cancelled": "The import of {object} was cancelled",
    "import.failed": "The import of {object} failed: {reason}",
    "import.finished": "{object} was imported",
    "import.retried": "The import of {object} was begun again",
    "import.started": "The import of {object} was begun",
    "key_pair.created": "{object} made the key pair {name}",
    "key_pair.revoked": "A key pair of {object} was revoked",
    "member.added": "{userName} joined {object} as {role}",
    "member.removed": "{userName} left {object}",
    "member.role_changed": "{userName} became {to} of {object}; before, {from}",
    "model.cards_edited": "The cards of version {version} of {object} were edited",
    "model.changed": "The model {object} was changed: {changes}",
    "model.created": "The model {object} was registered",
    "model.deleted": "The model {object} was deleted",
    "model.scan_overridden": "Version {version} of {object} may run although its scan warns",
    "model.version_added": "Version {version} of {object} was added",
    "model.version_deleted": "Version {version} of {object} was deleted",
    "person.deactivated": "{object} was deactivated",
    "person.factor_added": "{object} set up a second factor",
    "person.factor_removed": "{object} gave up a second factor",
    "person.invited": "{object} was invited",
    "person.invited_again": "{object} was sent another invitation",
    "person.password_changed": "{object} changed the password",
    "person.password_reset": "{object} set a new password by a link",
    "person.reactivated": "{object} was reactivated",
    "person.role_changed": "{object} became {to}; before, {from}",
    "person.sign_in_failed": "A sign-in as {object} failed",
    "person.signed_in": "{object} signed in",
    "person.two_factor_reset": "The second factor of {object} was reset",
    "prediction.erased": "A prediction of {object} was erased",
    "prediction.exported": "Predictions of {object} were exported",
    "replica.ended": "A model server of {object} ended and is started again",
    "repository.added": "The repository {object} was added",
    "repository.removed": "The repository {object} was removed",
    "request.erased": "A request to {object} was erased",
    "review.asked": "A review of a prediction of {object} was asked for",
    "review.looked": "A prediction of {object} was looked at instead of judged blind in {queue}",
    "review_queue.changed": "The review queue {object} of {deployment} was changed: {changes}",
    "review_queue.closed": "The review queue {object} of {deployment} was closed",
    "review_queue.created": "The review queue {object} of {deployment} was opened",
    "review_queue.opened": "The review queue {object} of {deployment} was opened again",
    "revision.activated": "Revision {revision} of {object} went live",
    "revision.created": "Revision {revision} of {object} was made with {model}",
    "revision.failed": "Revision {revision} of {object} failed and got no traffic",
    "token.issued": "Token {name} was issued for {object}",
    "token.revoked": "Token {object} was revoked",
    "use_case.created": "The use case {object} was opened",
    "variable.created": "The environment variable {object} was added as {key}",
    "variable.deleted": "The environment variable {object} was deleted",
    "variable.replaced": "The environment variable {object} got another value",
    "verification.finished": "The record was checked: {outcome}",
    "workspace.changed": "The workspace {object} was changed: {changes}",
    "workspace.created": "The workspace {object} was opened",
}
_HUMP = re.compile(r"(?<=[a-z])([A-Z])")
ERASED = "something that was erased"
FAMILIES = {
    "bundle": "Bundles",
    "deployment": "Deployments",
    "revision": "Revisions",
    "replica": "Model servers",
    "model": "Models",
    "use_case": "Use cases",
    "token": "Tokens",
    "key_pair": "Key pairs",
    "member": "Members",
    "person": "People",
    "workspace": "Workspaces",
    "prediction": "Predictions",
    "request": "Requests",
    "evaluation": "Evaluations",
    "actuals": "Actuals",
    "dataset": "Data sets",
    "review": "Requests for review",
    "review_queue": "Review queues",
    "checkpoint": "Checkpoints",
    "variable": "Environment variables",
    "verification": "Verifications",
}


class _Words(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return "–"


def sentence(event: Event) -> str:
    """What happened, for people; a name without a sentence falls back to its own words."""
    pattern = SENTENCES.get(event.name)
    words = _words(event)
    if pattern is None:
        return f"{words['object']}: {in_words(event.name)}"
    said = pattern.format_map(words)
    return said[:1].upper() + said[1:]


def in_words(name: str) -> str:
    """`deployment.scaled_up` becomes `deployment scaled up`, `useCase` `use case`."""
    return _HUMP.sub(r" \1", name).replace(".", " ").replace("_", " ").lower()


def data_of(event: Event) -> dict[str, Any]:
    """The event's data; empty where it was erased."""
    data: dict[str, Any] = orjson.loads(event.data) if event.data else {}
    return data


def changes_of(event: Event) -> list[tuple[str, Any, Any]]:
    """Field, old and new value of everything that the event says was changed."""
    data = data_of(event)
    if set(data) >= {"from", "to"}:
        return [("role" if event.object_type == "workspace" else "value", data["from"], data["to"])]
    return [
        (in_words(field), value["from"], value["to"])
        for field, value in data.items()
        if isinstance(value, dict) and set(value) == {"from", "to"}
    ]


def facts_of(event: Event) -> list[tuple[str, str, bool]]:
    """The rest of the data as name and text; the last says that the text is structured."""
    changed = {"from", "to"} if set(data_of(event)) >= {"from", "to"} else set()
    facts = []
    for field, value in data_of(event).items():
        if field in changed or (isinstance(value, dict) and set(value) == {"from", "to"}):
            continue
        structured = isinstance(value, dict) or (
            isinstance(value, list) and any(isinstance(each, dict | list) for each in value)
        )
        facts.append((in_words(field), _text(value, structured), structured))
    return facts


def _words(event: Event) -> _Words:
    data = data_of(event)
    words = {key: _text(value, False) for key, value in data.items()}
    words["object"] = ERASED if event.object_name is None else event.object_name
    words["changes"] = ", ".join(field for field, _, _ in changes_of(event)) or "–"
    return _Words(words)


def _text(value: Any, structured: bool) -> str:
    if structured:
        return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()
    if value is None or value == "":
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(str(each) for each in value) or "–"
    return str(value)

"""Deployments that do not run here: endpoints elsewhere, and entries of the inventory.

Each is a model version without a file, whose source says where it is; so both have revisions,
restore and a record like what runs here.
"""

import json
import re
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction
from django.db.models import Max

from apps.accounts.models import User, Workspace
from apps.core.encryption import encrypt
from apps.core.errors import DomainError, Invalid
from apps.core.outbound import check_url
from apps.deployments import services
from apps.deployments.custom import CREDENTIAL
from apps.deployments.endpoints import MAPPINGS
from apps.deployments.models import Deployment, Revision, UseCase
from apps.registry.metadata import checked
from apps.registry.models import Credential, Model, ModelVersion
from apps.registry.services.events import record
from apps.registry.services.models import create_model

AUTHENTICATIONS = {
    "none": "None",
    "basic": "User name and password",
    "bearer": "Bearer token",
    "custom": "Custom header",
    "oauth": "OAuth client credentials",
}
_KINDS = {
    "basic": Credential.Kind.PASSWORD,
    "bearer": Credential.Kind.TOKEN,
    "custom": Credential.Kind.HEADER,
    "oauth": Credential.Kind.OAUTH,
}
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_NOT_OURS = {"connection", "content-length", "content-type", "host", "transfer-encoding"}
_SECONDS, _MEGABYTES = (1, 300), (1, 100)


@dataclass(frozen=True, slots=True)
class EndpointWish:
    """An endpoint as people describe it. An empty `password` keeps the one that is stored.

    basic: user name and password; bearer: the token as password; custom: the header's name as
    user name, its value as password; oauth: client id and secret, and `token_url`.
    """

    url: str
    authentication: str = "none"
    username: str = ""
    password: str = field(default="", repr=False)
    token_url: str = ""
    scope: str = ""
    mapping: str = "v1"
    timeout_seconds: int = 30
    max_answer_mb: int = 10
    health_url: str = ""


@dataclass(frozen=True, slots=True)
class About:
    """What is known of a model that runs elsewhere."""

    metadata: dict[str, Any] = field(default_factory=dict)
    model_card: str = ""
    data_card: str = ""


def wish_of(version: ModelVersion) -> EndpointWish:
    """What was said of a version's endpoint, without its secret."""
    source = version.source
    return EndpointWish(
        url=source["url"],
        authentication=source.get("authentication", "none"),
        username=source.get("username", ""),
        token_url=source.get("tokenUrl", ""),
        scope=source.get("scope", ""),
        mapping=source.get("mapping", "v1"),
        timeout_seconds=source.get("timeoutSeconds", 30),
        max_answer_mb=source.get("maxAnswerMb", 10),
        health_url=source.get("healthUrl", ""),
    )


def about_of(version: ModelVersion) -> About:
    return About(version.metadata, version.model_card, version.data_card)


@transaction.atomic
def create_external(
    *,
    workspace: Workspace,
    name: str,
    wish: EndpointWish,
    by: User,
    about: About | None = None,
    use_case: UseCase | None = None,
    description: str = "",
    durability: str = Deployment.Durability.COMMITTED,
) -> Deployment:
    """A deployment in front of an endpoint elsewhere, which the controller checks first.

    Raises Invalid where the address may not be called or the description does not fit, Conflict
    where the name is in use.
    """
    _check(wish, kept=None)
    version = _endpoint_version(_model_named(workspace, name, by), wish, about or About(), by, None)
    return services.create_deployment(
        workspace=workspace,
        name=name,
        model_version=version,
        kind=Deployment.Kind.EXTERNAL,
        use_case=use_case,
        description=description,
        durability=durability,
        by=by,
    )


@transaction.atomic
def revise_external(
    *,
    deployment: Deployment,
    wish: EndpointWish,
    by: User,
    about: About | None = None,
    note: str = "",
) -> Revision:
    """A new revision with another endpoint or description; it serves once its check has passed."""
    last = _last_version(deployment)
    _check(wish, kept=last)
    version = _endpoint_version(last.model, wish, about or about_of(last), by, last)
    return services.create_revision(deployment=deployment, model_version=version, note=note, by=by)


@transaction.atomic
def create_registration(
    *,
    workspace: Workspace,
    name: str,
    by: User,
    about: About | None = None,
    use_case: UseCase | None = None,
    description: str = "",
    place: str = "",
) -> Deployment:
    """An entry of the inventory: it is listed and documented, and answers nothing. `place` says
    in words where the model runs."""
    version = _registered_version(_model_named(workspace, name, by), about or About(), place, by)
    return services.create_deployment(
        workspace=workspace,
        name=name,
        model_version=version,
        kind=Deployment.Kind.REGISTRATION,
        use_case=use_case,
        description=description,
        by=by,
    )


@transaction.atomic
def revise_registration(
    *,
    deployment: Deployment,
    by: User,
    about: About | None = None,
    place: str | None = None,
    note: str = "",
) -> Revision:
    """What is known now of a model that is only registered."""
    last = _last_version(deployment)
    place = last.source.get("place", "") if place is None else place
    version = _registered_version(last.model, about or about_of(last), place, by)
    return services.create_revision(deployment=deployment, model_version=version, note=note, by=by)


def _last_version(deployment: Deployment) -> ModelVersion:
    return services.model_of(deployment.revisions.order_by("-number")[0])


def _model_named(workspace: Workspace, name: str, by: User) -> Model:
    """The registry's entry: one of the name that has no file of ours, or a new one."""
    found = Model.objects.filter(workspace=workspace, name__iexact=name).first()
    if found is None:
        return create_model(workspace=workspace, name=name, by=by)
    if found.versions.exclude(framework=ModelVersion.Framework.EXTERNAL).exists():
        raise Invalid(
            f"There is a model called {name} already, which has files here; choose another name."
        )
    return found


def _endpoint_version(
    model: Model, wish: EndpointWish, about: About, by: User, last: ModelVersion | None
) -> ModelVersion:
    source = {
        "kind": "endpoint",
        "url": wish.url,
        "authentication": wish.authentication,
        "username": wish.username,
        "tokenUrl": wish.token_url,
        "scope": wish.scope,
        "mapping": wish.mapping,
        "timeoutSeconds": wish.timeout_seconds,
        "maxAnswerMb": wish.max_answer_mb,
        "healthUrl": wish.health_url,
    }
    return _add_version(model, source, about, by, _credential(model, wish, by, last))


def _registered_version(model: Model, about: About, place: str, by: User) -> ModelVersion:
    return _add_version(model, {"kind": "registration", "place": place.strip()}, about, by, None)


def _add_version(
    model: Model, source: dict[str, Any], about: About, by: User, credential: Credential | None
) -> ModelVersion:
    Model.objects.select_for_update().get(pk=model.pk)
    last = model.versions.aggregate(last=Max("number"))["last"] or 0
    version = ModelVersion.objects.create(
        model=model,
        number=last + 1,
        source=source,
        credential=credential,
        framework=ModelVersion.Framework.EXTERNAL,
        format=source["kind"],
        metadata=checked(about.metadata),
        model_card=about.model_card,
        data_card=about.data_card,
        created_by=by,
    )
    record("model.version_added", model, by.actor, {"version": version.number, "source": source})
    return version


def _credential(
    model: Model, wish: EndpointWish, by: User, last: ModelVersion | None
) -> Credential | None:
    """What proves who calls: the kept one where no new secret was given."""
    if wish.authentication == "none":
        return None
    if not wish.password and last is not None and last.credential is not None:
        return last.credential
    number = model.workspace.credentials.filter(name__startswith=_credential_name(model)).count()
    name = _credential_name(model) + (f" {number + 1}" if number else "")
    return Credential.objects.create(
        workspace=model.workspace,
        name=name,
        kind=_KINDS[wish.authentication],
        secret=encrypt(json.dumps(_secret(wish)), purpose=CREDENTIAL),
        hint=wish.username[:120],
        created_by=by,
    )


def _credential_name(model: Model) -> str:
    return f"Endpoint of {model.name}"[:72]


def _secret(wish: EndpointWish) -> dict[str, str]:
    if wish.authentication == "basic":
        return {"username": wish.username, "password": wish.password}
    if wish.authentication == "bearer":
        return {"token": wish.password}
    if wish.authentication == "custom":
        return {"header": wish.username, "value": wish.password}
    return {
        "tokenUrl": wish.token_url,
        "clientId": wish.username,
        "clientSecret": wish.password,
        "scope": wish.scope,
    }


def _check(wish: EndpointWish, *, kept: ModelVersion | None) -> None:
    """Raises Invalid with every field that does not fit."""
    errors = [*_bad_addresses(wish), *_bad_choices(wish), *_bad_secrets(wish, kept)]
    if errors:
        fields = [{"field": name, "message": message} for name, message in errors]
        raise Invalid(errors[0][1], fields)


def _bad_addresses(wish: EndpointWish) -> list[tuple[str, str]]:
    wanted = {"url": wish.url, "health_url": wish.health_url}
    if wish.authentication == "oauth":
        wanted["token_url"] = wish.token_url
    errors = []
    for name, url in wanted.items():
        if not url and name == "health_url":
            continue
        try:
            check_url(url)
        except DomainError as error:
            errors.append((name, error.message))
    return errors


def _bad_choices(wish: EndpointWish) -> list[tuple[str, str]]:
    errors = []
    if wish.authentication not in AUTHENTICATIONS:
        errors.append(("authentication", f"must be one of {', '.join(AUTHENTICATIONS)}"))
    if wish.mapping not in MAPPINGS:
        errors.append(("mapping", f"must be one of {', '.join(MAPPINGS)}"))
    for name, value, (low, high) in (
        ("timeout_seconds", wish.timeout_seconds, _SECONDS),
        ("max_answer_mb", wish.max_answer_mb, _MEGABYTES),
    ):
        if not low <= value <= high:
            errors.append((name, f"must be from {low} to {high}"))
    return errors


def _bad_secrets(wish: EndpointWish, kept: ModelVersion | None) -> list[tuple[str, str]]:
    """An own secret is needed where the kept one belongs to another way or another name."""
    if wish.authentication not in _KINDS:
        return []
    errors = []
    if wish.authentication != "bearer" and not wish.username:
        errors.append(("username", f"{AUTHENTICATIONS[wish.authentication]} needs it."))
    if wish.authentication == "custom" and wish.username and not _is_header(wish.username):
        errors.append(("username", f"{wish.username} is no header that a caller may set."))
    if any(ord(sign) < 32 for sign in wish.username + wish.password):
        errors.append(("password", "It may hold no line breaks or control characters."))
    same = kept is not None and kept.credential is not None and _same_secret(wish, kept)
    if not wish.password and not same:
        errors.append(("password", "Enter the secret; a stored one is kept for this name alone."))
    return errors


def _same_secret(wish: EndpointWish, kept: ModelVersion) -> bool:
    """A stored secret goes nowhere but where it was entered for: a change of address asks again."""
    last = wish_of(kept)
    names = ("authentication", "username", "token_url", "scope")
    return _origin(wish.url) == _origin(last.url) and all(
        getattr(wish, name) == getattr(last, name) for name in names
    )


def _origin(url: str) -> tuple[str, ...]:
    scheme, _, rest = url.partition("://")
    return scheme.lower(), rest.partition("/")[0].lower()


def _is_header(name: str) -> bool:
    return bool(_HEADER.fullmatch(name)) and name.lower() not in _NOT_OURS

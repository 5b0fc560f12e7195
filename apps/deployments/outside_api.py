"""External and Registration deployments on the wire, with the official client's keys."""

from typing import Any

from rest_framework import serializers

from apps.accounts.models import User, Workspace
from apps.deployments import external
from apps.deployments.endpoints import MAPPINGS
from apps.deployments.external import AUTHENTICATIONS, About, EndpointWish
from apps.deployments.models import Deployment, UseCase
from apps.deployments.services import model_of
from apps.registry.models import ModelVersion

TYPES = {
    Deployment.Kind.MANAGED: "KServe",
    Deployment.Kind.EXTERNAL: "External",
    Deployment.Kind.REGISTRATION: "Registration",
}
KINDS = {"External": Deployment.Kind.EXTERNAL, "Registration": Deployment.Kind.REGISTRATION}
_WISH = {
    "url": "url",
    "authentication": "authentication",
    "username": "username",
    "password": "password",
    "tokenURL": "token_url",
    "oidcCustomScope": "scope",
    "baseURL": "health_url",
    "mapping": "mapping",
    "timeoutSeconds": "timeout_seconds",
    "maxAnswerMb": "max_answer_mb",
}


class AboutIn(serializers.Serializer):
    """What is known of a model that does not run here. Unknown keys are ignored."""

    metadata = serializers.JSONField(required=False, allow_null=True)
    modelCard = serializers.CharField(required=False, allow_blank=True, allow_null=True)
    dataCard = serializers.CharField(required=False, allow_blank=True, allow_null=True)
    note = serializers.CharField(max_length=300, required=False, allow_blank=True)

    def about(self, last: ModelVersion | None = None) -> About:
        """Over what is known of `last`; an explicit null takes a part away."""
        data = self.validated_data
        known = external.about_of(last) if last else About()
        return About(
            metadata=(data["metadata"] or {}) if "metadata" in data else known.metadata,
            model_card=(data["modelCard"] or "") if "modelCard" in data else known.model_card,
            data_card=(data["dataCard"] or "") if "dataCard" in data else known.data_card,
        )


class EndpointIn(AboutIn):
    """The endpoint of an external deployment."""

    url = serializers.CharField(max_length=500, required=False)
    authentication = serializers.ChoiceField(list(AUTHENTICATIONS), required=False)
    username = serializers.CharField(
        max_length=200, required=False, allow_blank=True, allow_null=True
    )
    password = serializers.CharField(
        max_length=5000, required=False, allow_blank=True, allow_null=True, trim_whitespace=False
    )
    tokenURL = serializers.CharField(
        max_length=500, required=False, allow_blank=True, allow_null=True
    )
    oidcCustomScope = serializers.CharField(
        max_length=500, required=False, allow_blank=True, allow_null=True
    )
    baseURL = serializers.CharField(
        max_length=500, required=False, allow_blank=True, allow_null=True
    )
    mapping = serializers.ChoiceField(list(MAPPINGS), required=False)
    timeoutSeconds = serializers.IntegerField(required=False)
    maxAnswerMb = serializers.IntegerField(required=False)

    def wish(self, last: ModelVersion | None = None) -> EndpointWish:
        """The endpoint over that of `last`; null is empty."""
        known = external.wish_of(last) if last else EndpointWish(url="")
        data = self.validated_data
        values = {name: getattr(known, name) for name in _WISH.values()}
        given = {name: data[key] for key, name in _WISH.items() if key in data}
        return EndpointWish(**values | {k: "" if v is None else v for k, v in given.items()})


class _NewIn(serializers.Serializer):
    name = serializers.CharField(max_length=80)
    deploymentType = serializers.ChoiceField(list(KINDS))
    description = serializers.CharField(
        max_length=500, required=False, allow_blank=True, allow_null=True
    )
    useCaseId = serializers.UUIDField(required=False, allow_null=True)


class ExternalIn(_NewIn, EndpointIn):
    """Body of POST deployments for an external one."""

    url = serializers.CharField(max_length=500)
    authentication = serializers.ChoiceField(list(AUTHENTICATIONS))
    durability = serializers.ChoiceField(Deployment.Durability.choices, required=False)


class RegistrationIn(_NewIn, AboutIn):
    """Body of POST deployments for an inventory entry. `place` says where the model runs."""

    place = serializers.CharField(max_length=300, required=False, allow_blank=True)


class EntryIn(AboutIn):
    """Body of PATCH for an inventory entry."""

    place = serializers.CharField(max_length=300, required=False, allow_blank=True)


def new_in(data: Any) -> serializers.Serializer:
    """The body of a deployment that does not run here, checked."""
    kind = ExternalIn if data.get("deploymentType") == "External" else RegistrationIn
    body = kind(data=data)
    body.is_valid(raise_exception=True)
    return body


def create(body: Any, workspace: Workspace, use_case: UseCase | None, by: User) -> Deployment:
    data = body.validated_data
    common: dict[str, Any] = {
        "workspace": workspace,
        "name": data["name"],
        "description": data.get("description") or "",
        "use_case": use_case,
        "about": body.about(),
        "by": by,
    }
    if isinstance(body, RegistrationIn):
        return external.create_registration(**common, place=data.get("place", ""))
    durability = data.get("durability", Deployment.Durability.COMMITTED)
    return external.create_external(**common, wish=body.wish(), durability=durability)


def revise(deployment: Deployment, data: Any, by: User) -> None:
    """A new revision of a deployment that does not run here."""
    last = model_of(deployment.revisions.all()[0])
    if deployment.kind == Deployment.Kind.REGISTRATION:
        entry = EntryIn(data=data)
        entry.is_valid(raise_exception=True)
        said = entry.validated_data
        external.revise_registration(
            deployment=deployment,
            about=entry.about(last),
            place=said.get("place"),
            note=said.get("note", ""),
            by=by,
        )
        return
    body = EndpointIn(data=data)
    body.is_valid(raise_exception=True)
    external.revise_external(
        deployment=deployment,
        wish=body.wish(last),
        about=body.about(last),
        note=body.validated_data.get("note", ""),
        by=by,
    )


def endpoint_out(version: ModelVersion) -> dict[str, Any]:
    """The endpoint of a version, its secret left out."""
    if version.source.get("kind") == "registration":
        return {"place": version.source.get("place", "")}
    if version.source.get("kind") != "endpoint":
        return {}
    wish = external.wish_of(version)
    return {key: getattr(wish, name) for key, name in _WISH.items() if name != "password"}

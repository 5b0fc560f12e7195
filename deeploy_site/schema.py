"""Tells the OpenAPI schema what our own credentials and fields look like."""

from typing import Any

from drf_spectacular.extensions import (
    OpenApiAuthenticationExtension,
    OpenApiSerializerFieldExtension,
)


class KeyPairScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "apps.accounts.authentication.KeyPairAuthentication"
    name = "keyPair"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "basic", "description": "Access key and secret key."}


class TokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "apps.accounts.authentication.TokenAuthentication"
    name = "deploymentToken"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "description": "A deployment's token, DPT…"}


class MetadataScheme(OpenApiSerializerFieldExtension):  # type: ignore[no-untyped-call]
    target_class = "apps.registry.serializers.MetadataField"

    def map_serializer_field(self, auto_schema: Any, direction: str) -> dict[str, Any]:
        return {"type": "object", "description": "metadata.json, as a file, text or an object."}

"""What each kind of credential consists of, and by what people recognise one."""

import json
from dataclasses import dataclass
from typing import Any

from apps.core.errors import Invalid

_LONGEST = 20_000


@dataclass(frozen=True, slots=True)
class Part:
    """One field of a credential. A part that `is_shown` is the hint that lists show."""

    name: str
    label: str
    is_required: bool = True
    is_secret: bool = True
    is_long: bool = False
    is_shown: bool = False
    help: str = ""


def _plain(name: str, label: str, **options: Any) -> Part:
    return Part(name, label, is_secret=False, **options)


_TRIED_ON = _plain(
    "url",
    "Address to try it on",
    is_required=False,
    help="A repository, a file or an API that this opens; the test asks there and nowhere else.",
)
PARTS: dict[str, tuple[Part, ...]] = {
    "password": (
        _plain("username", "User name", is_shown=True),
        Part("password", "Password or access token"),
        _TRIED_ON,
    ),
    "token": (Part("token", "Token"), _TRIED_ON),
    "header": (
        _plain("header", "Name of the header", is_shown=True),
        Part("value", "Value"),
        _TRIED_ON,
    ),
    "oauth": (
        _plain("clientId", "Client id", is_shown=True),
        Part("clientSecret", "Client secret"),
        _plain("tokenUrl", "Address of the tokens"),
        _plain("scope", "Scope", is_required=False),
    ),
    "ssh": (
        Part("privateKey", "Private key", is_long=True, help="In PEM or OpenSSH form."),
        Part("passphrase", "Passphrase", is_required=False),
        _plain(
            "host",
            "Host",
            is_shown=True,
            help="Where it is tried, with user and port where they differ: git@git.example:22.",
        ),
        _plain(
            "knownHosts",
            "Keys of the host",
            is_required=False,
            is_long=True,
            help="Lines as in known_hosts. Without them the key that the first test meets is kept, "
            "and no other is accepted later.",
        ),
    ),
    "s3": (
        _plain("accessKeyId", "Access key id", is_shown=True),
        Part("secretAccessKey", "Secret access key"),
        Part("sessionToken", "Session token", is_required=False),
        _plain("region", "Region", is_required=False),
        _plain(
            "endpoint",
            "Endpoint",
            is_required=False,
            help="Of a store that speaks S3, such as https://minio.example:9000; empty for AWS.",
        ),
        _plain("bucket", "Bucket to try it on", is_required=False),
    ),
    "gcs": (
        Part("serviceAccount", "Key of the service account", is_long=True, help="The JSON file."),
        _plain("bucket", "Bucket to try it on"),
    ),
    "azure": (
        _plain("account", "Storage account", is_shown=True),
        Part("accountKey", "Account key", is_required=False),
        Part("sasToken", "Shared access signature", is_required=False),
        _plain("container", "Container to try it on"),
    ),
    "registry": (
        _plain("registry", "Registry", is_shown=True, help="registry.example:5000, or docker.io."),
        _plain("username", "User name"),
        Part("password", "Password or access token"),
    ),
}


def checked(kind: str, given: dict[str, Any]) -> dict[str, str]:
    """The parts of a credential of this kind, without empty ones. Raises Invalid, by field."""
    if kind not in PARTS:
        known = ", ".join(PARTS)
        raise _invalid("kind", f"There is no such kind of credential; choose one of {known}.")
    parts = {part.name: part for part in PARTS[kind]}
    unknown = [name for name in given if name not in parts]
    if unknown:
        raise _invalid(unknown[0], f"A credential of this kind has {', '.join(parts)}.")
    result: dict[str, str] = {}
    for name, part in parts.items():
        value = _text(name, given.get(name) or "")
        if part.is_required and not value:
            raise _invalid(name, f"{part.label} is needed.")
        if value:
            result[name] = value
    _check_kind(kind, result)
    return result


def hint_of(kind: str, secret: dict[str, str]) -> str:
    """What people recognise it by; never a part that is secret."""
    shown = next((secret.get(part.name, "") for part in PARTS[kind] if part.is_shown), "")
    if kind == "gcs":
        shown = str(json.loads(secret["serviceAccount"]).get("client_email", ""))
    return shown[:120]


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise _invalid(name, "It must be text.")
    if len(value) > _LONGEST or "\0" in value:
        raise _invalid(name, "It is too long, or holds a NUL character.")
    return value.strip() + ("\n" if "PRIVATE KEY" in value else "")


def _check_kind(kind: str, secret: dict[str, str]) -> None:
    if kind == "ssh" and "PRIVATE KEY" not in secret["privateKey"]:
        raise _invalid("privateKey", "This is no private key: its first line has to say so.")
    if kind == "azure" and not {"accountKey", "sasToken"} & set(secret):
        raise _invalid("accountKey", "Give the account key or a shared access signature.")
    if kind == "header" and not secret["header"].replace("-", "").isalnum():
        raise _invalid("header", "The name of a header has letters, digits and hyphens.")
    if kind == "gcs":
        try:
            fits = json.loads(secret["serviceAccount"])["type"] == "service_account"
        except (ValueError, KeyError, TypeError):
            fits = False
        if not fits:
            raise _invalid("serviceAccount", "This is not the JSON key of a service account.")


def _invalid(field: str, message: str) -> Invalid:
    return Invalid(message, [{"field": field, "message": message}])

"""Calls endpoints elsewhere: authentication, mapping of bodies, limits, and plain words for faults.

Redirects are not followed and only a refused connection is tried again, so that a prediction is
never asked for twice.
"""

import asyncio
import base64
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote_plus, urlsplit

import aiohttp
import orjson

from apps.core.errors import DomainError
from apps.core.outbound import reason_of
from apps.core.outbound_aiohttp import guarded_session, judge
from apps.deployments.endpoints import Endpoint
from apps.deployments.forwarding import request_of, rows_of

_EARLY_SECONDS = 60
_USUAL_TOKEN_SECONDS = 300
_TOKEN_TIMEOUT_SECONDS = 15
_MOST_TOKEN_BYTES = 64 * 1024
_LONGEST_WORDS = 500
_MOST_HEALTH_BYTES = 1024**2
_CALLERS_FAULT = {400, 413, 415, 422}


class CallFailed(Exception):
    """No prediction came back: a sentence for the caller, and the status that says whose fault."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


@dataclass(slots=True)
class _Token:
    """What an authorisation server gave; `ends` by the monotonic clock, a minute early."""

    text: str
    ends: float


@dataclass(slots=True)
class EndpointClient:
    """One session for all endpoints, and the access tokens of those that want OAuth."""

    _session: aiohttp.ClientSession | None = None
    _tokens: dict[tuple[str, ...], _Token] = field(default_factory=dict)
    _asking: dict[tuple[str, ...], asyncio.Lock] = field(default_factory=dict)

    async def predict(self, endpoint: Endpoint, instances: list[Any]) -> list[Any]:
        """One output an instance. Raises CallFailed."""
        body = _body(endpoint, instances)
        try:
            async with asyncio.timeout(endpoint.timeout_seconds):
                status, answer = await self._authorised(endpoint, body)
        except TimeoutError:
            limit = f"{endpoint.timeout_seconds:g} seconds"
            raise CallFailed(504, f"{_host(endpoint)} did not answer within {limit}.") from None
        if not 200 <= status < 300:
            raise _refused(endpoint, status, answer)
        return _rows(endpoint, answer, len(instances))

    async def reach(self, endpoint: Endpoint, seconds: float) -> int:
        """The status with which the endpoint, or its health address, answers a GET.

        Endpoints take POST alone as a rule, so 405 is as good as 200. Raises CallFailed.
        """
        url = endpoint.health_url or endpoint.url
        try:
            async with asyncio.timeout(seconds):
                headers = await self._headers(endpoint)
                status, answer = await self._call("GET", url, b"", headers, _MOST_HEALTH_BYTES)
        except TimeoutError:
            raise CallFailed(504, f"{_name(url)} did not answer within {seconds:g} s.") from None
        if status in (401, 403) or status >= 500:
            raise _refused(endpoint, status, answer)
        return status

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def _authorised(self, endpoint: Endpoint, body: bytes) -> tuple[int, bytes]:
        """A token that is no longer taken is replaced once."""
        headers = await self._headers(endpoint)
        answer = await self._call("POST", endpoint.url, body, headers, endpoint.max_answer_bytes)
        if answer[0] != 401 or endpoint.authentication != "oauth":
            return answer
        kept = self._tokens.get(_key(endpoint))
        if kept is not None and headers["authorization"] == f"Bearer {kept.text}":
            del self._tokens[_key(endpoint)]
        headers = await self._headers(endpoint)
        return await self._call("POST", endpoint.url, body, headers, endpoint.max_answer_bytes)

    async def _headers(self, endpoint: Endpoint) -> dict[str, str]:
        """What stands before the body, with the proof of who calls."""
        if endpoint.fault:
            raise CallFailed(502, endpoint.fault)
        headers = {"content-type": "application/json", "accept": "application/json"}
        if endpoint.authentication == "oauth":
            return headers | {"authorization": f"Bearer {(await self._token(endpoint)).text}"}
        return headers | _proof(endpoint)

    async def _token(self, endpoint: Endpoint) -> _Token:
        """The kept token, or a new one; many requests ask for one only once."""
        key = _key(endpoint)
        async with self._asking.setdefault(key, asyncio.Lock()):
            kept = self._tokens.get(key)
            if kept is None or kept.ends <= time.monotonic():
                kept = self._tokens[key] = await self._new_token(endpoint)
            return kept

    async def _new_token(self, endpoint: Endpoint) -> _Token:
        """RFC 6749, section 4.4: the client's credentials for a token."""
        secret = endpoint.secret
        scope = f"&scope={quote_plus(secret['scope'])}" if secret.get("scope") else ""
        pair = f"{quote_plus(secret['clientId'])}:{quote_plus(secret['clientSecret'])}"
        headers = {
            "content-type": "application/x-www-form-urlencoded",
            "accept": "application/json",
            "authorization": f"Basic {_base64(pair)}",
        }
        body = f"grant_type=client_credentials{scope}".encode()
        url = secret["tokenUrl"]
        async with asyncio.timeout(_TOKEN_TIMEOUT_SECONDS):
            status, answer = await self._call(
                "POST", secret["tokenUrl"], body, headers, _MOST_TOKEN_BYTES
            )
        place = urlsplit(url).hostname
        try:
            content = orjson.loads(answer)
            if status != 200:
                why = content.get("error_description") or content.get("error") or ""
                raise CallFailed(502, f"{place} gave no access token ({status}). {why}".strip())
            seconds = float(content.get("expires_in") or _USUAL_TOKEN_SECONDS)
            return _Token(content["access_token"], time.monotonic() + seconds - _EARLY_SECONDS)
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError):
            raise CallFailed(502, f"{place} gave no access token ({status}).") from None

    async def _call(
        self, method: str, url: str, body: bytes, headers: Mapping[str, str], most: int
    ) -> tuple[int, bytes]:
        try:
            return await self._sent(method, url, body, headers, most)
        except aiohttp.ClientConnectorCertificateError as error:
            why = reason_of(error.certificate_error)
            raise CallFailed(502, f"{_name(url)} is not called: {why}.") from None
        except aiohttp.ClientConnectorError:
            return await self._again(method, url, body, headers, most)
        except DomainError as error:
            raise CallFailed(502, error.message) from None
        except (aiohttp.ClientError, OSError) as error:
            raise _broken(url, error) from None

    async def _again(
        self, method: str, url: str, body: bytes, headers: Mapping[str, str], most: int
    ) -> tuple[int, bytes]:
        """Nothing was sent where the connection was refused, so it may be sent once more."""
        try:
            return await self._sent(method, url, body, headers, most)
        except aiohttp.ClientConnectorError as error:
            why = reason_of(error.os_error)
            raise CallFailed(502, f"{_name(url)} cannot be reached: {why}.") from None
        except DomainError as error:
            raise CallFailed(502, error.message) from None
        except (aiohttp.ClientError, OSError) as error:
            raise _broken(url, error) from None

    async def _sent(
        self, method: str, url: str, body: bytes, headers: Mapping[str, str], most: int
    ) -> tuple[int, bytes]:
        if self._session is None:
            self._session = guarded_session()
        target = judge(url)
        async with self._session.request(
            method, target, data=body or None, headers=headers, allow_redirects=False
        ) as answer:
            if 300 <= answer.status < 400:
                text = f"{_name(url)} answered with a redirect, which is not followed. "
                raise CallFailed(502, f"{text}Give the deployment its final address.")
            parts, size = [], 0
            async for part in answer.content.iter_any():
                size += len(part)
                if size > most:
                    text = f"{_name(url)} sent more than {most:,} bytes, the limit here."
                    raise CallFailed(502, text)
                parts.append(part)
            return answer.status, b"".join(parts)


def _body(endpoint: Endpoint, instances: list[Any]) -> bytes:
    if endpoint.mapping == "as-is":
        return orjson.dumps(instances[0])
    try:
        return orjson.dumps(request_of(endpoint.signature, instances)[1])
    except ValueError as error:
        raise CallFailed(400, str(error)) from None


def _rows(endpoint: Endpoint, answer: bytes, count: int) -> list[Any]:
    try:
        content = orjson.loads(answer)
    except orjson.JSONDecodeError:
        text = f"{_host(endpoint)} answered with something that is not JSON."
        raise CallFailed(502, text) from None
    if endpoint.mapping == "as-is":
        return [content]
    try:
        rows = rows_of(endpoint.signature, content)
    except (ValueError, KeyError, TypeError) as error:
        text = f"The answer of {_host(endpoint)} cannot be read: {error}"
        raise CallFailed(502, text) from None
    if len(rows) != count:
        text = f"{_host(endpoint)} gave {len(rows)} outputs for {count} instances."
        raise CallFailed(502, text)
    return rows


def _refused(endpoint: Endpoint, status: int, answer: bytes) -> CallFailed:
    """What another server's refusal means for our caller."""
    host, said = _host(endpoint), _words(answer)
    if status in (401, 403):
        return CallFailed(502, f"{host} does not take the credentials ({status}). {said}".strip())
    if status in (429, 503):
        return CallFailed(503, f"{host} takes no requests now ({status}). {said}".strip())
    if status in _CALLERS_FAULT:
        return CallFailed(400, f"{host} refused the request ({status}). {said}".strip())
    return CallFailed(502, f"{host} answered with status {status}. {said}".strip())


def _words(answer: bytes) -> str:
    """The message in a refusal, where it has one."""
    try:
        content = orjson.loads(answer)
    except orjson.JSONDecodeError:
        return ""
    if not isinstance(content, dict):
        return ""
    said = content.get("error") or content.get("message") or content.get("detail") or ""
    if isinstance(said, dict):
        said = said.get("message") or ""
    return str(said)[:_LONGEST_WORDS]


def _proof(endpoint: Endpoint) -> dict[str, str]:
    """The header that says who calls."""
    secret = endpoint.secret
    if endpoint.authentication == "password":
        pair = f"{secret.get('username', '')}:{secret.get('password', '')}"
        return {"authorization": f"Basic {_base64(pair)}"}
    if endpoint.authentication == "token":
        return {"authorization": f"Bearer {secret['token']}"}
    if endpoint.authentication == "header":
        return {secret["header"]: secret["value"]}
    return {}


def _broken(url: str, error: Exception) -> CallFailed:
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return CallFailed(502, f"{_name(url)} closed the connection before it answered.")
    return CallFailed(502, f"The call of {_name(url)} failed: {reason_of(error)}.")


def _key(endpoint: Endpoint) -> tuple[str, ...]:
    secret = endpoint.secret
    return (
        secret["tokenUrl"],
        secret["clientId"],
        secret["clientSecret"],
        secret.get("scope", ""),
    )


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _name(url: str) -> str:
    return urlsplit(url).hostname or url


def _host(endpoint: Endpoint) -> str:
    return _name(endpoint.url)

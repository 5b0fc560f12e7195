"""The few requests that the supervisor makes to its own web process."""

import base64
import json
import urllib.error
import urllib.request
from typing import Any

# Never through a proxy: these addresses are this machine's.
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def status(url: str, *, timeout_seconds: float = 2) -> int:
    """The status of a GET; 0 where nothing answers."""
    try:
        with _opener.open(url, timeout=timeout_seconds) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code
    except OSError:
        return 0


def read_json(url: str, *, user: str, password: str) -> tuple[int, dict[str, Any]]:
    """Status and body of a GET with Basic credentials; (0, {}) where nothing answers."""
    credentials = base64.b64encode(f"{user}:{password}".encode()).decode()
    request = urllib.request.Request(  # noqa: S310
        url, headers={"Authorization": f"Basic {credentials}", "Accept": "application/json"}
    )
    try:
        with _opener.open(request, timeout=5) as answer:
            body = json.load(answer)
            return int(answer.status), body if isinstance(body, dict) else {}
    except urllib.error.HTTPError as error:
        error.close()
        return error.code, {}
    except (OSError, ValueError):
        return 0, {}

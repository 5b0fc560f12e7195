"""`python -m deeploy_site.healthcheck`: exit code 0 when the web process here is ready.

Asks under a host name that this installation accepts, without needing Django.
"""

import sys
import urllib.request

from deeploy_site.environment import number, words


def main() -> int:
    address = f"http://127.0.0.1:{number('PORT', 8000)}/readyz"
    request = urllib.request.Request(address, headers={"Host": _accepted_host()})  # noqa: S310
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=5) as answer:
            return 0 if answer.status == 200 else 1
    except OSError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1


def _accepted_host() -> str:
    first = next(iter(words("ALLOWED_HOSTS", "127.0.0.1")))
    return "127.0.0.1" if first == "*" else first.removeprefix(".")


if __name__ == "__main__":
    sys.exit(main())

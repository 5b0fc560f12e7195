"""`manage.py up`: starts the whole product and keeps it running until Ctrl-C.

Environment: PORT (8000), HOST (127.0.0.1), VAR_DIR (var), DATABASE_URL (an embedded PostgreSQL
where it is absent), WEB_WORKERS (1), DEMO=0 to leave the demo out, BASE_URL where people reach
this installation under another address. `.env.example` lists them all.
"""

import sys

from deeploy_site.environment import ConfigurationError
from deeploy_site.up.errors import UpError
from deeploy_site.up.options import Options
from deeploy_site.up.supervisor import Supervisor


def main(arguments: list[str]) -> int:
    """The exit code: 0 after a stop on request, 1 where the start failed, 2 for bad settings."""
    if arguments:
        print(__doc__.strip())
        return 0 if arguments[0] in {"-h", "--help"} else 2
    try:
        Supervisor(Options.from_environment()).run()
    except ConfigurationError as error:
        print(f"\n{error}", file=sys.stderr)
        return 2
    except UpError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    return 0

#!/usr/bin/env python
"""Django's command line, and `up`, which starts everything before Django can be set up."""

import os
import sys


def main() -> None:
    if sys.argv[1:2] == ["up"]:
        from deeploy_site.up.command import main as up

        sys.exit(up(sys.argv[2:]))
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "deeploy_site.settings")
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()

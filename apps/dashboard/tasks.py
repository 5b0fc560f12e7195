"""What the worker does for the demo."""

import json

from django.conf import settings

from apps.dashboard.replay import replay

_ROWS_PER_DEPLOYMENT = 100


def replay_demo() -> int:
    """Replays held-out cases of each demo deployment."""
    demo = json.loads((settings.VAR_DIR / "demo.json").read_text())
    return replay(
        base_url=settings.GATEWAY_URL,
        demo=demo,
        folder=settings.VAR_DIR / "demo",
        rows=_ROWS_PER_DEPLOYMENT,
    )

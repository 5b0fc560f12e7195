"""What the database can keep of what people and programs send."""

import json
from typing import Any

_NUL = "\\u0000"


def keepable(value: Any) -> bool:
    """False for NUL characters, halves of surrogate pairs, NaN and infinities, however deep."""
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
        text.encode()
    except (ValueError, TypeError, RecursionError):
        return False
    return _NUL not in text.replace("\\\\", "")

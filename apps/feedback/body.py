"""JSON bodies of bounded size."""

import io
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from rest_framework.exceptions import APIException
from rest_framework.parsers import JSONParser


class TooLarge(APIException):
    status_code = 413


class BoundedJSONParser(JSONParser):
    """Reads no more than PREDICT_MAX_BODY_BYTES, and says so where there is more."""

    def parse(
        self,
        stream: Any,
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        most = settings.PREDICT_MAX_BODY_BYTES
        content = stream.read(most + 1)
        if len(content) > most:
            raise TooLarge(f"The body is larger than {most:,} bytes; send it in parts.")
        return super().parse(io.BytesIO(content), media_type, parser_context)

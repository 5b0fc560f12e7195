"""A process of its own that draws: a request on its input, a picture on its output, in turn.

Each is four bytes of length and that much. A request is JSON, `{"metadata", "rows", "theme"}`; an
answer begins with a byte, 1 before a PNG and 0 before a text that says what went wrong. It ends
with its input, or when nobody has asked for some minutes. Drawing holds Python's lock for longer
than the data plane may wait, and a stubborn picture can be ended with its process.
"""

import json
import os
import select
import struct
import sys
from typing import BinaryIO

from apps.explanations.sheets import picture_of

_IDLE_SECONDS = 600
_LENGTH = struct.Struct(">I")


def main() -> None:
    source, target = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # What a library prints is no answer.
    while select.select([source], [], [], _IDLE_SECONDS)[0]:
        head = source.read(_LENGTH.size)
        if len(head) < _LENGTH.size:
            return
        answer = _drawn(source, *_LENGTH.unpack(head))
        target.write(_LENGTH.pack(len(answer)) + answer)
        target.flush()


def _drawn(source: BinaryIO, length: int) -> bytes:
    try:
        asked = json.loads(source.read(length))
        return b"\x01" + picture_of(asked["metadata"], asked["rows"], asked["theme"])
    except Exception as error:
        text = f"{type(error).__name__}: {error}"
        sys.stderr.write(f"A picture could not be drawn: {text}\n")
        return b"\x00" + text.encode()


if __name__ == "__main__":
    main()

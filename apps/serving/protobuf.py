"""Reads the fields of a protobuf message, as far as finding out what a file is needs it."""

from collections.abc import Iterator

Value = int | memoryview
_MOST_FIELDS = 5_000_000


class NotProtobuf(ValueError):
    """The bytes are no message, or are cut off."""


def fields(data: memoryview) -> Iterator[tuple[int, Value]]:
    """Number and value of each field: a whole number, or the bytes of a text or message."""
    at, count = 0, 0
    while at < len(data):
        count += 1
        if count > _MOST_FIELDS:
            raise NotProtobuf("too many fields")
        key, at = _varint(data, at)
        number, kind = key >> 3, key & 7
        if not number:
            raise NotProtobuf("a field without a number")
        if kind == 0:
            value, at = _varint(data, at)
            yield number, value
            continue
        if kind == 2:
            length, at = _varint(data, at)
        elif kind in (1, 5):
            length = 8 if kind == 1 else 4
        else:
            raise NotProtobuf(f"a field of the unknown kind {kind}")
        if at + length > len(data):
            raise NotProtobuf("it ends in the middle of a field")
        yield number, data[at : at + length]
        at += length


def messages(data: memoryview, *path: int) -> Iterator[memoryview]:
    """The bytes of every field that is reached by these numbers, one inside the other."""
    for number, value in fields(data):
        if number != path[0] or isinstance(value, int):
            continue
        if len(path) == 1:
            yield value
        else:
            yield from messages(value, *path[1:])


def texts(data: memoryview, *path: int) -> Iterator[str]:
    """The same as text."""
    for value in messages(data, *path):
        yield bytes(value).decode(errors="replace")


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value, shift = 0, 0
    while True:
        if at >= len(data) or shift > 63:
            raise NotProtobuf("it ends in the middle of a number")
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at

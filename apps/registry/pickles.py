"""Walks a pickle to its end without making anything that it names.

Every name becomes an inert stand-in, so calls and attributes in the stream reach nothing. joblib
writes arrays raw between the instructions; the walk knows from the stand-ins how long they are
and goes on behind them.
"""

import io
import pickle
import struct
from typing import Any, ClassVar

import numpy as np

_MOST_INSTRUCTIONS = 5_000_000
_ARRAY = ("joblib.numpy_pickle", "NumpyArrayWrapper")
_HOLDS_OBJECTS = 0x01
_FLAGS_AT = 7


class Unwalkable(Exception):
    """The walk ended before the stream; what follows is out of sight."""


def names_in(data: bytes, *, arrays: bool, storages: bool = False) -> list[tuple[str, str]]:
    """Module and name of everything that loading `data` would import, each once, in order.

    `arrays`: raw arrays lie between the instructions, as in files of joblib. `storages`: numbers
    of tensors lie in files beside it, as PyTorch keeps them. Raises Unwalkable, with what was
    found so far as its second argument.
    """
    walker = _Walker(io.BytesIO(data), arrays=arrays, storages=storages)
    try:
        walker.load()
    except Exception as error:
        raise Unwalkable(str(error) or type(error).__name__, walker.names) from None
    return walker.names


class _Inert:
    """Stands where the stream wants an object: takes anything, does nothing."""

    origin = ("", "")

    def __new__(cls, *arguments: Any, **_: Any) -> "_Inert":
        made = object.__new__(cls)
        made.__dict__["arguments"], made.__dict__["state"] = arguments, None
        return made

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        self.__dict__["state"] = state

    def __call__(self, *_: Any, **__: Any) -> "_Inert":
        return _Inert()

    def __setitem__(self, key: Any, value: Any) -> None:
        pass

    def append(self, item: Any) -> None:
        pass

    def add(self, item: Any) -> None:
        pass


class _Walker(pickle._Unpickler):
    """The standard library's own machine, with `find_class` giving stand-ins."""

    dispatch: ClassVar[dict[int, Any]] = dict(pickle._Unpickler.dispatch)

    def __init__(
        self, file: io.BytesIO, *, arrays: bool, storages: bool = False, depth: int = 0
    ) -> None:
        super().__init__(file)
        self.file, self.arrays, self.storages, self.depth = file, arrays, storages, depth
        self.names: list[tuple[str, str]] = []
        self._stand_ins: dict[tuple[str, str], type[_Inert]] = {}
        self._instructions = 0

    def find_class(self, module: str, name: str) -> type[_Inert]:
        key = (module, name)
        if key not in self._stand_ins:
            self._stand_ins[key] = type("_Named", (_Inert,), {"origin": key})
            self.names.append(key)
        return self._stand_ins[key]

    def get_extension(self, code: int) -> None:
        raise Unwalkable(f"It refers to the registered extension {code}")

    def persistent_load(self, pid: Any) -> Any:
        if self.storages:
            return _Inert()
        raise Unwalkable("It refers to objects outside the file")

    def load_build(self) -> None:
        super().load_build()  # type: ignore[misc]
        top = self.stack[-1]  # type: ignore[attr-defined]
        if self.arrays and isinstance(top, _Inert) and top.origin == _ARRAY:
            self._pass_array(top.__dict__["state"])

    dispatch[pickle.BUILD[0]] = load_build

    def load_bytearray8(self) -> None:
        """As the library does, which makes room for what the stream claims before it reads."""
        (length,) = struct.unpack("<Q", self.read(8))  # type: ignore[attr-defined]
        if length > self.file.getbuffer().nbytes:
            raise Unwalkable("It holds fewer bytes than it claims")
        self.append(bytearray(self.read(length)))  # type: ignore[attr-defined]

    dispatch[pickle.BYTEARRAY8[0]] = load_bytearray8

    def _pass_array(self, state: dict[str, Any]) -> None:
        kind, shape = state["dtype"], state["shape"]
        if _holds_objects(kind):
            if self.depth > 50:
                raise Unwalkable("Arrays are nested too deeply")
            inner = _Walker(self.file, arrays=True, depth=self.depth + 1)
            inner.names, inner._stand_ins = self.names, self._stand_ins
            inner.load()
            return
        if state.get("numpy_array_alignment_bytes") is not None:
            self.file.seek(self.file.read(1)[0], io.SEEK_CUR)
        length = np.dtype(kind.__dict__["arguments"][0]).itemsize
        for side in shape:
            if type(side) is not int or side < 0:
                raise Unwalkable("An array has no plain shape")
            length *= side
        end = self.file.tell() + length
        if end > self.file.getbuffer().nbytes:
            raise Unwalkable("An array is longer than the file")
        self.file.seek(end)


def _holds_objects(kind: _Inert) -> bool:
    """True for arrays that joblib writes as a pickle of their own, not as raw bytes."""
    if np.dtype(kind.__dict__["arguments"][0]).hasobject:
        return True
    state = kind.__dict__["state"]
    return len(state) > _FLAGS_AT and bool(state[_FLAGS_AT] & _HOLDS_OBJECTS)


def _counted(load: Any) -> Any:
    """An instruction that ends the walk when there have been too many."""

    def instruction(walker: _Walker) -> None:
        walker._instructions += 1
        if walker._instructions > _MOST_INSTRUCTIONS:
            raise Unwalkable(f"It has more than {_MOST_INSTRUCTIONS:,} instructions")
        load(walker)

    return instruction


_Walker.dispatch = {code: _counted(load) for code, load in _Walker.dispatch.items()}

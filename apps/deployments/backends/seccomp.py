"""A filter of system calls: no further processes, no network, nobody else's sockets.

The launcher loads it. Landlock closes TCP alone and says nothing of UDP, of Unix sockets with a
path, or of processes; a model server needs none of them. Threads, files and its own listening
socket stay. See seccomp(2) and `linux/filter.h`.
"""

import errno
import platform
import struct

_LOAD_WORD, _AND, _JUMP_IF_EQUAL, _JUMP_IF_ANY, _JUMP_IF_AT_LEAST, _RETURN = (
    0x20, 0x54, 0x15, 0x45, 0x35, 0x06,
)  # fmt: skip
_ALLOW, _ERRNO, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_NUMBER_AT, _ARCHITECTURE_AT, _FIRST_AT, _SECOND_AT = 0, 4, 16, 24
_CLONE_THREAD, _AF_UNIX, _SOCK_STREAM, _TYPE_MASK = 0x10000, 1, 1, 0xF
_X32 = 0x40000000
_CLONE3, _IO_URING_SETUP = 435, 425

# audit architecture, clone, socket, and the numbers of what is refused
_MACHINES = {
    "x86_64": (0xC000003E, 56, 41, {"fork": 57, "vfork": 58, "connect": 42, "ptrace": 101}),
    "aarch64": (0xC00000B7, 220, 198, {"connect": 203, "ptrace": 117}),
}


def is_supported() -> bool:
    """True on the machines whose system call numbers are known here."""
    return platform.system() == "Linux" and platform.machine() in _MACHINES


def program() -> bytes:
    """The filter for this machine as instructions of BPF."""
    architecture, clone, socket, refused = _MACHINES[platform.machine()]
    refuse = _ERRNO | errno.EPERM
    code = [
        _instruction(_LOAD_WORD, _ARCHITECTURE_AT),
        _instruction(_JUMP_IF_EQUAL, architecture, 1, 0),
        _instruction(_RETURN, _KILL),
        _instruction(_LOAD_WORD, _NUMBER_AT),
        # Numbers of the x32 interface would name the same calls otherwise.
        _instruction(_JUMP_IF_AT_LEAST, _X32, 0, 1),
        _instruction(_RETURN, refuse),
        # The C library falls back to clone, whose flags can be seen.
        _instruction(_JUMP_IF_EQUAL, _CLONE3, 0, 1),
        _instruction(_RETURN, _ERRNO | errno.ENOSYS),
    ]
    for number in (_IO_URING_SETUP, *refused.values()):
        code += [_instruction(_JUMP_IF_EQUAL, number, 0, 1), _instruction(_RETURN, refuse)]
    code += [
        _instruction(_JUMP_IF_EQUAL, clone, 0, 4),
        _instruction(_LOAD_WORD, _FIRST_AT),
        _instruction(_JUMP_IF_ANY, _CLONE_THREAD, 0, 1),
        _instruction(_RETURN, _ALLOW),
        _instruction(_RETURN, refuse),
        _instruction(_JUMP_IF_EQUAL, socket, 1, 0),
        _instruction(_RETURN, _ALLOW),
        _instruction(_LOAD_WORD, _FIRST_AT),
        _instruction(_JUMP_IF_EQUAL, _AF_UNIX, 1, 0),
        _instruction(_RETURN, refuse),
        _instruction(_LOAD_WORD, _SECOND_AT),
        _instruction(_AND, _TYPE_MASK),
        _instruction(_JUMP_IF_EQUAL, _SOCK_STREAM, 0, 1),
        _instruction(_RETURN, _ALLOW),
        _instruction(_RETURN, refuse),
    ]
    return b"".join(code)


def _instruction(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)

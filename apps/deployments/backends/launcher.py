"""Locks itself in, then becomes a model server. Run with `python -I launcher.py config.json`.

Standard library alone. In this order: its priority, resource limits, another user and no
capabilities where root starts it, no new privileges, a Landlock domain (Linux): files may be read
and written only where the configuration says, only the interpreter may be executed, and no TCP
connection made or accepted; and a filter of system calls. Exits with 4 where a lock that the
configuration requires cannot be had.
"""

import ctypes
import json
import os
import resource
import struct
import sys
from typing import Any

ISOLATION_FAILED = 4

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_RULE_PATH_BENEATH = 1
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_ALL_BY_ABI = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 5: (1 << 16) - 1}
_TCP_BIND_AND_CONNECT = 0b11
_SCOPE_ABSTRACT_SOCKETS_AND_SIGNALS = 0b11
_PR_SET_NO_NEW_PRIVS, _PR_CAPBSET_DROP = 38, 24
_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 22, 2
_FILE_RIGHTS = _EXECUTE | _WRITE_FILE | _READ_FILE | (1 << 14) | (1 << 15)

_libc = ctypes.CDLL(None, use_errno=True)


def main() -> None:
    with open(sys.argv[1]) as file:
        config = json.load(file)
    try:
        lock_in(config)
    except OSError as error:
        sys.stderr.write(f"The model server cannot be isolated: {error}\n")
        sys.exit(ISOLATION_FAILED)
    os.umask(0o077)
    os.chdir(config["directory"])
    os.execve(config["command"][0], config["command"], config["environment"])  # noqa: S606


def lock_in(config: dict[str, Any]) -> None:
    """Applies all locks of the configuration to this process."""
    os.nice(config["nice"])
    for name, value in config["limits"].items():
        kind = getattr(resource, name)
        hard = resource.getrlimit(kind)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (value, value))
    if config["uid"] is not None:
        os.setgroups([])
        os.setresgid(config["uid"], config["uid"], config["uid"])
        os.setresuid(config["uid"], config["uid"], config["uid"])
    if not sys.platform.startswith("linux"):
        return
    if os.geteuid() == 0:
        drop_capabilities()
    _check(_libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no new privileges")
    if config["landlock"]:
        landlock(config["landlock"])
    if config["filter"]:
        filter_calls(bytes.fromhex(config["filter"]))


def landlock_abi() -> int:
    """The kernel's Landlock version; 0 where it has none."""
    if not sys.platform.startswith("linux"):
        return 0
    version: int = _libc.syscall(_CREATE_RULESET, None, 0, 1)
    return max(version, 0)


def landlock(rules: dict[str, list[str]]) -> None:
    """Restricts this process and what it becomes to `read`, `write` and `execute` paths."""
    abi = landlock_abi()
    handled = max(value for version, value in _ALL_BY_ABI.items() if version <= abi)
    network = _TCP_BIND_AND_CONNECT if abi >= 4 else 0
    scoped = _SCOPE_ABSTRACT_SOCKETS_AND_SIGNALS if abi >= 6 else 0
    attributes = struct.pack("QQQ", handled, network, scoped)
    size = 24 if abi >= 6 else 16 if abi >= 4 else 8
    ruleset = _check(_libc.syscall(_CREATE_RULESET, attributes, size, 0), "Landlock rules")
    for path in rules["read"]:
        _allow(ruleset, path, _READ_FILE | _READ_DIR)
    for path in rules["execute"]:
        _allow(ruleset, path, _READ_FILE | _EXECUTE)
    for path in rules["write"]:
        _allow(ruleset, path, handled & ~_EXECUTE)
    _check(_libc.syscall(_RESTRICT_SELF, ruleset, 0), "Landlock")
    os.close(ruleset)


def _allow(ruleset: int, path: str, rights: int) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        if not os.path.isdir(path):
            rights &= _FILE_RIGHTS
        rule = struct.pack("=Qi", rights, descriptor)
        _check(_libc.syscall(_ADD_RULE, ruleset, _RULE_PATH_BENEATH, rule, 0), path)
    finally:
        os.close(descriptor)


def drop_capabilities() -> None:
    """Gives up every capability, so that root is held by file modes like anybody else."""
    for capability in range(64):
        if _libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0):
            break
    header = struct.pack("Ii", 0x20080522, 0)
    _check(_libc.capset(header, bytes(24)), "capabilities")


def filter_calls(code: bytes) -> None:
    """Refuses system calls to this process and what it becomes; `code` is a program of BPF."""
    buffer = ctypes.create_string_buffer(code, len(code))
    head = struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(buffer))
    mode = ctypes.c_ulong(_SECCOMP_MODE_FILTER)
    result = _libc.prctl(_PR_SET_SECCOMP, mode, ctypes.c_char_p(head), 0, 0)
    _check(result, "the filter of system calls")


def _check(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


if __name__ == "__main__":
    main()

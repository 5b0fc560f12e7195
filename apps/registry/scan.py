"""Looks into a file for what loading it would run, without running it."""

import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from picklescan.scanner import SafetyLevel, scan_pickle_bytes

from apps.registry.pickles import Unwalkable, names_in
from apps.registry.scan_archives import SCANS, look
from apps.serving.detect import NotAModel, unpacked
from apps.serving.skops_types import TRUSTED

_RUNS_NOTHING = {
    "xgboost-json", "xgboost-ubj", "lightgbm-text", "catboost-cbm", "catboost-json",
}  # fmt: skip
# Formats of which nothing runs where nothing was found.
_QUIET = {"skops", "onnx", "keras", "saved-model", "torchscript", "torch-export"}
_LEVELS = {
    SafetyLevel.Innocuous: "low",
    SafetyLevel.Suspicious: "unknown",
    SafetyLevel.Dangerous: "dangerous",
}
_ORDER = ["none", "low", "unknown", "dangerous"]
_TRUSTED_ROOTS = ("sklearn", "numpy", "scipy", "joblib", "pandas", "xgboost")
_BUILTINS = {"builtins", "__builtin__"}
_HARMLESS_BUILTINS = {
    "dict", "list", "set", "frozenset", "tuple", "int", "float", "bool", "str", "bytes",
    "bytearray", "complex", "slice", "range", "object",
}  # fmt: skip
# Functions with which numeric libraries rebuild their own objects; everything else that is no
# class is called unknown, because these libraries also have functions that run any text.
_REBUILDERS = {
    "_reconstruct", "scalar", "_frombuffer", "ndarray", "dtype", "newObj", "__randomstate_ctor",
    "__generator_ctor", "__bit_generator_ctor", "encode", "_reconstructor", "__newobj__",
    "float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16",
    "uint32", "uint64", "bool_", "str_", "datetime64", "timedelta64", "_new_Index",
    "_unpickle_block", "new_block", "_ufunc_reconstruct", "interp1d", "csr_matrix", "csc_matrix",
}  # fmt: skip
_PLAIN_MODULES = {"_codecs", "copyreg", "copy_reg", "collections"}


def scan(path: Path, format_: str) -> dict[str, Any]:
    """`{"risk", "findings": [{"level", "what", "where"}]}`; the risk is the highest level.

    The formats of XGBoost, LightGBM and CatBoost run nothing. A graph runs the operators that its
    library knows, and only those that reach beyond numbers are named; pickles in an archive are
    walked like others. A skops file builds only the types that it names: foreign ones are
    unknown, and the model server refuses them. In a pickle, classes of numeric libraries are low;
    what picklescan knows as dangerous is dangerous, as is reaching through a module into another
    and a stream that cannot be followed to its end; anything else is unknown.
    """
    if format_ in _RUNS_NOTHING:
        return {"risk": "none", "findings": []}
    if format_ in SCANS:
        findings = look(path, format_, _rated)
    else:
        findings = _in_skops(path) if format_ == "skops" else _in_pickle(path, format_)
    lowest = "none" if format_ in _QUIET else "low"
    risk = max((f["level"] for f in findings), key=_ORDER.index, default=lowest)
    ordered = sorted(findings, key=lambda f: (-_ORDER.index(f["level"]), f["what"]))
    return {"risk": risk, "findings": ordered}


def _in_pickle(path: Path, format_: str) -> list[dict[str, str]]:
    try:
        data = unpacked(path)
    except NotAModel as error:
        return [_finding("dangerous", "instructions that cannot be read", str(error))]
    try:
        names = names_in(data, arrays=format_ == "joblib")
        lost = []
    except Unwalkable as error:
        why, names = error.args
        lost = [_finding("dangerous", "instructions that cannot be followed", why)]
    return lost + _rated(names)


def _rated(names: list[tuple[str, str]]) -> list[dict[str, str]]:
    """A finding for every name that a pickle would import."""
    known = _known_to_picklescan(names)
    return [
        _finding(_level(module, name, known.get((module, name), "dangerous")), f"{module}.{name}")
        for module, name in names
    ]


def _known_to_picklescan(names: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """The level by picklescan's lists; it takes pickles, so the names are put into one."""
    lines = [f"c{module}\n{name}\n0" for module, name in names if "\n" not in module + name]
    stream = "".join(lines).encode("utf-8", "replace") + b"N."
    result = scan_pickle_bytes(io.BytesIO(stream), "names")
    return {(found.module, found.name): _LEVELS[found.safety] for found in result.globals}


def _level(module: str, name: str, level: str) -> str:
    if level == "dangerous":
        return level
    if module in _BUILTINS:
        return "low" if name in _HARMLESS_BUILTINS else "dangerous"
    if "." in name and not _is_class_name(name.partition(".")[0]):
        return "dangerous"
    root = module.partition(".")[0]
    if root not in _TRUSTED_ROOTS and module not in _PLAIN_MODULES:
        return level if level == "low" else "unknown"
    rebuilds = name in _REBUILDERS or name.startswith("__pyx_unpickle_")
    return "low" if rebuilds or _is_class_name(name) or level == "low" else "unknown"


def _is_class_name(name: str) -> bool:
    return name.lstrip("_")[:1].isupper()


def _in_skops(path: Path) -> list[dict[str, str]]:
    import skops.io

    try:
        foreign = sorted(set(skops.io.get_untrusted_types(file=path)) - set(TRUSTED))
    except Exception as error:  # whatever a forged file makes of the library's own walk
        what = "objects that cannot be listed"
        return [_finding("dangerous", what, f"{type(error).__name__}: {error}")]
    return [_finding("unknown", name, "a type outside scikit-learn") for name in foreign]


def _finding(level: str, what: str, where: str = "") -> dict[str, str]:
    return {"level": level, "what": what} | ({"where": where} if where else {})

"""What loading an archive or a graph would run: PyTorch, TensorFlow, ONNX and MLflow."""

import io
import json
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from apps.registry.pickles import Unwalkable, names_in
from apps.serving import protobuf
from apps.serving.archives import root_of
from apps.serving.detect_graphs import GRAPH, NODES
from apps.serving.skops_types import TRUSTED

Finding = dict[str, str]
Level = Callable[[list[tuple[str, str]]], list[Finding]]
_MOST_READ = 256 * 1024**2
_DAMAGES = (
    zipfile.BadZipFile, zlib.error, OSError, EOFError, ValueError, KeyError, RecursionError,
    RuntimeError,
)  # fmt: skip
_PICKLES = (".pkl", ".pickle", ".pt", ".pth", ".bin", ".joblib", ".cloudpickle", ".dill")
_TORCH_LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
# What PyTorch's own readers put together again; TorchScript's is written in C++ and knows no other.
_TORCH_NAMES = {
    ("collections", "OrderedDict"), ("torch", "Size"), ("torch", "device"),
    ("torch._utils", "_rebuild_tensor"), ("torch._utils", "_rebuild_tensor_v2"),
    ("torch._utils", "_rebuild_tensor_v3"), ("torch._utils", "_rebuild_parameter"),
    ("torch._utils", "_rebuild_parameter_with_state"), ("torch._utils", "_rebuild_qtensor"),
    ("torch._tensor", "_rebuild_from_type_v2"), ("torch.serialization", "_get_layout"),
    ("torch.nn.parameter", "Parameter"), ("torch", "Tensor"),
}  # fmt: skip
_TORCH_PREFIXES = ("__torch__", "torch.jit._pickle")
_TORCH_TARGETS = (
    "torch.ops.aten", "torch.ops.prim", "torch.ops.higher_order", "torch.ops.quantized",
    "torch.ops.profiler", "torch._higher_order_ops", "torch.sym", "_operator", "operator", "math",
)  # fmt: skip
_SCRIPT_CALLS = re.compile(r"\b(?:torch|ops\.\w+)\.(save|from_file|load|_save|warn_file)\(")
_FILE_OPS = {
    "ReadFile": "reads files", "WriteFile": "writes files", "MatchingFiles": "lists files",
    "WholeFileReader": "reads files", "WholeFileReaderV2": "reads files",
    "FixedLengthRecordReader": "reads files", "FixedLengthRecordReaderV2": "reads files",
    "TextLineReader": "reads files", "TextLineReaderV2": "reads files",
    "TFRecordReader": "reads files", "TFRecordReaderV2": "reads files",
    "TextLineDataset": "reads files", "TFRecordDataset": "reads files",
    "TFRecordDatasetV2": "reads files", "FixedLengthRecordDataset": "reads files",
    "DebugIdentity": "writes to addresses", "DebugIdentityV2": "writes to addresses",
    "PrintV2": "writes to files", "SummaryWriter": "writes files",
    "CreateSummaryFileWriter": "writes files", "SaveDataset": "writes files",
    "SaveDatasetV2": "writes files", "LoadDataset": "reads files",
}  # fmt: skip
_PYTHON_OPS = {"PyFunc", "PyFuncStateless", "EagerPyFunc", "ScipyImplementation"}
_REMOTE_OPS = {"RpcCall", "RpcServer", "RpcClient", "DataServiceDataset", "Send", "Recv", "_Send"}
_ONNX_DOMAINS = {"", "ai.onnx", "ai.onnx.ml", "ai.onnx.preview.training", "com.microsoft"}
_NODE_DOMAIN, _NODE_OP = 7, 4
_GRAPH_DEF, _FUNCTIONS = (2, 2), (2, 2, 2)


def torchscript(path: Path, level: Level) -> list[Finding]:
    """Its program is in PyTorch's own language; its pickles are read by a reader of its own."""
    found: list[Finding] = []
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if name.endswith((".pkl", "_pkl")):
                found += _in_pickle(_read(archive, name), name, level)
            elif name.endswith(".py"):
                text = _read(archive, name).decode(errors="replace")
                found += [
                    _finding("unknown", f"torch.{call}", f"{name}: reaches files")
                    for call in sorted(set(_SCRIPT_CALLS.findall(text)))
                ]
    return found


def exported(path: Path, level: Level) -> list[Finding]:
    """The pickles in a program of torch.export; its graph holds known operators alone."""
    with zipfile.ZipFile(path) as archive:
        found = _in_members(archive, archive.namelist(), level)
        model = next((n for n in archive.namelist() if n.endswith("models/model.json")), "")
        text = _read(archive, model).decode(errors="replace") if model else ""
    targets = set(re.findall(r'"target":\s*"([^"]+)"', text))
    foreign = sorted(each for each in targets if not each.startswith(_TORCH_TARGETS))
    return found + [_finding("unknown", target, "an operator of its own") for target in foreign]


def state_dict(path: Path, level: Level) -> list[Finding]:
    """Weights hold numbers; the module's file is a program that has to run."""
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        programs = sorted(name for name in names if name.endswith(".py"))
        found = [_finding("unknown", Path(n).name, f"{n}: Python that runs") for n in programs]
        return found + _in_members(archive, names, level)


def keras(path: Path, level: Level) -> list[Finding]:
    """Layers are named in config.json; a Lambda layer carries Python code."""
    found: list[Finding] = []
    with zipfile.ZipFile(path) as archive:
        config = json.loads(_read(archive, "config.json"))
        found += _in_members(archive, archive.namelist(), level)
    for module, name in sorted(set(_classes(config))):
        if name in ("Lambda", "__lambda__"):
            found.append(_finding("dangerous", "Lambda", "a layer that runs Python code"))
        elif module and module.partition(".")[0] != "keras":
            what = f"{module}.{name}"
            found.append(_finding("unknown", what, "a class outside Keras, which is imported"))
    return list({finding["what"]: finding for finding in found}.values())


def saved_model(path: Path, level: Level) -> list[Finding]:
    """The operators of its graphs that reach files, other machines or Python."""
    with zipfile.ZipFile(path) as archive:
        root = root_of(archive.namelist(), "saved_model.pb") or ""
        data = memoryview(_read(archive, f"{root}saved_model.pb"))
        found = _in_members(archive, archive.namelist(), level)
    operators = set(protobuf.texts(data, *_GRAPH_DEF, 1, 2))
    operators |= set(protobuf.texts(data, *_FUNCTIONS, 1, 3, 2))
    for operator in sorted(operators):
        if operator in _PYTHON_OPS:
            found.append(_finding("unknown", operator, "calls Python of whoever saved the model"))
        elif operator in _FILE_OPS:
            found.append(_finding("unknown", operator, f"an operator that {_FILE_OPS[operator]}"))
        elif operator in _REMOTE_OPS:
            found.append(_finding("unknown", operator, "an operator that calls other machines"))
    return found


def onnx(path: Path, level: Level) -> list[Finding]:
    """Operators beyond those of ONNX; the model server has none of them."""
    data = memoryview(path.read_bytes())
    foreign = set()
    for node in protobuf.messages(data, GRAPH, NODES):
        domain = next(protobuf.texts(node, _NODE_DOMAIN), "")
        if domain not in _ONNX_DOMAINS:
            foreign.add(f"{domain}.{next(protobuf.texts(node, _NODE_OP), '')}")
    return [_finding("unknown", each, "an operator of its own") for each in sorted(foreign)]


def mlflow(path: Path, level: Level) -> list[Finding]:
    """Pickles anywhere in the folder, code that comes along, and a loader of one's own."""
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        root = root_of(names, "MLmodel") or ""
        text = _read(archive, f"{root}MLmodel").decode(errors="replace")
        programs = [name for name in names if name.endswith((".py", ".so", ".pyc", ".egg"))]
        found = [_finding("unknown", Path(n).name, f"{n}: code that runs") for n in programs]
        found += _in_members(archive, names, level)
    for loader in re.findall(r"^\s+loader_module:\s*(\S+)", text, re.MULTILINE):
        if not loader.startswith("mlflow."):
            found.append(_finding("unknown", loader, "the module that loads the model"))
    return found


SCANS: dict[str, Callable[[Path, Level], list[Finding]]] = {
    "torchscript": torchscript,
    "torch-export": exported,
    "torch-state-dict": state_dict,
    "keras": keras,
    "saved-model": saved_model,
    "onnx": onnx,
    "mlflow": mlflow,
}


def look(path: Path, format_: str, level: Level) -> list[Finding]:
    """The findings in a file of one of SCANS; one that cannot be followed is dangerous."""
    try:
        return SCANS[format_](path, level)
    except _DAMAGES as error:
        return [_finding("dangerous", "content that cannot be read", str(error)[:200])]


def _in_members(archive: zipfile.ZipFile, names: list[str], level: Level) -> list[Finding]:
    """The pickles among the files of an archive, and in archives that lie in it."""
    found: list[Finding] = []
    for name in names:
        if name.endswith(_PICKLES):
            found += _in_pickle(_read(archive, name), name, level)
        elif name.endswith(".skops"):
            found += _in_skops(_read(archive, name), name)
        elif name.endswith(".npy") and b"'descr': '|O'" in _read(archive, name)[:256]:
            found.append(_finding("unknown", "an array of objects", name))
    return found


def _in_pickle(data: bytes, where: str, level: Level) -> list[Finding]:
    """A pickle, or a file of torch.save, which is an archive with one in it."""
    found: list[Finding] = []
    if data.startswith(b"PK\x03\x04"):
        with zipfile.ZipFile(io.BytesIO(data)) as inner:
            for name in inner.namelist():
                if name.endswith(".pkl"):
                    found += _in_pickle(_read(inner, name), f"{where}/{name}", level)
        return found
    if data.startswith(_TORCH_LEGACY):
        return [
            _finding("unknown", "an old PyTorch file", f"{where}: cannot be followed to its end")
        ]
    if data[:1] != b"\x80":
        return found
    try:
        names = names_in(data, arrays=b"NumpyArrayWrapper" in data, storages=True)
    except Unwalkable as error:
        why, names = error.args
        found.append(
            _finding("dangerous", "instructions that cannot be followed", f"{where}: {why}")
        )
    foreign = [(module, name) for module, name in names if not _is_torchs(module, name)]
    return found + [finding | {"where": where} for finding in level(foreign)]


def _in_skops(data: bytes, where: str) -> list[Finding]:
    """Foreign types: in an MLflow folder a line of the folder itself lets them be built."""
    import skops.io

    try:
        foreign = sorted(set(skops.io.get_untrusted_types(data=data)) - set(TRUSTED))
    except Exception as error:  # whatever a forged file makes of the library's own walk
        return [_finding("dangerous", "objects that cannot be listed", f"{where}: {error}"[:200])]
    return [_finding("unknown", name, where) for name in foreign]


def _is_torchs(module: str, name: str) -> bool:
    storage = module == "torch" and name.endswith("Storage")
    return storage or (module, name) in _TORCH_NAMES or module.startswith(_TORCH_PREFIXES)


def _classes(value: Any) -> Iterator[tuple[str, str]]:
    """Module and name of every class in a configuration of Keras."""
    if isinstance(value, dict):
        if isinstance(value.get("class_name"), str):
            yield str(value.get("module") or ""), value["class_name"]
        for each in value.values():
            yield from _classes(each)
    elif isinstance(value, list):
        for each in value:
            yield from _classes(each)


def _read(archive: zipfile.ZipFile, name: str) -> bytes:
    if archive.getinfo(name).file_size > _MOST_READ:
        raise ValueError(f"{name} is too large to look into")
    return archive.read(name)


def _finding(level: str, what: str, where: str) -> Finding:
    return {"level": level, "what": what, "where": where}

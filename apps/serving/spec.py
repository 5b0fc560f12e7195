"""What a model server is told: the artifact, its metadata, where to listen, and its limits."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one server. `batch_max_rows` caps how many rows run through the model at once."""

    max_body_bytes: int = 10 * 1024**2
    max_rows: int = 10_000
    batch_max_rows: int = 512
    threads: int = 1


@dataclass(frozen=True, slots=True)
class Explaining:
    """What an explainer's server is told beside the model.

    `explainers` are `{"name", "method", "settings"}`. `background` is a CSV or Parquet file of raw
    rows; at most `rows` of it count, drawn by the `seed`, or the rows nearest to the centres of as
    many clusters where `sampling` is kmeans. `target` is the column that holds what turned out to
    be true; empty where it is to be found. `module` is the file of a custom explainer.
    """

    explainers: tuple[dict[str, Any], ...] = ()
    background: str = ""
    rows: int = 1000
    sampling: str = "sample"
    target: str = ""
    module: str = ""
    seed: int = 0

    @property
    def files(self) -> dict[str, str]:
        """The files beside the artifact, by the field that names them."""
        named = {"background": self.background, "module": self.module}
        return {field: path for field, path in named.items() if path}


@dataclass(frozen=True, slots=True)
class ServerSpec:
    """A model server's whole configuration.

    `framework` is one of those in `apps.serving.loaders`, `format` one that its loader reads.
    `artifact` is a file, or the folder of a model that came as an archive; `metadata` has the keys
    of metadata.json. It listens on the Unix socket `uds`, or else on `host`:`port` (0 picks a free
    port). `trusted_types` are names that a skops file may use beyond skops' own list, or a Keras
    file beyond its own layers. With `explaining` it explains the model instead of serving it.
    """

    name: str
    framework: str
    format: str
    artifact: str
    metadata: dict[str, Any] = field(default_factory=dict)
    uds: str = ""
    host: str = "127.0.0.1"
    port: int = 0
    trusted_types: tuple[str, ...] = ()
    limits: Limits = Limits()
    explaining: Explaining | None = None

    @property
    def role(self) -> str:
        """What the server is: an explainer of the model, or the model itself."""
        return "explainer" if self.explaining is not None else "model"

    def dump(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self)))

    @classmethod
    def load(cls, path: Path) -> "ServerSpec":
        values = json.loads(path.read_text())
        values["limits"] = Limits(**values.get("limits", {}))
        if explaining := values.get("explaining"):
            explaining["explainers"] = tuple(explaining.get("explainers", ()))
            values["explaining"] = Explaining(**explaining)
        values["trusted_types"] = tuple(values.get("trusted_types", ()))
        return cls(**values)

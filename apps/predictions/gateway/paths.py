"""The addresses of the data plane, in three families."""

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Address:
    """What a path asks for. `workspace` is None where the family has none."""

    protocol: str
    endpoint: str
    workspace: str | None
    deployment: str


_DEEPLOY = re.compile(r"/workspaces/([^/]+)/deployments/([^/]+)/(predict|explain)/?")
_V1 = re.compile(r"/v1/models/([^/:]+):(predict|explain)")
_V2 = re.compile(r"/v2/models/([^/]+)/(infer|explain)")


def inference_address(path: str) -> Address | None:
    """The address of a path that predicts or explains; None for every other path."""
    if match := _DEEPLOY.fullmatch(path):
        return Address("deeploy", match[3], match[1], match[2])
    if match := _V1.fullmatch(path):
        return Address("v1", match[2], None, match[1])
    if match := _V2.fullmatch(path):
        endpoint = "explain" if match[2] == "explain" else "predict"
        return Address("v2", endpoint, None, match[1])
    return None


_MODEL = re.compile(r"/v([12])/models/([^/]+?)(/ready)?")


def model_address(path: str) -> tuple[str, str, bool] | None:
    """Family, deployment and whether readiness is asked for, of a path that describes a model."""
    if match := _MODEL.fullmatch(path):
        return f"v{match[1]}", match[2], bool(match[3])
    return None

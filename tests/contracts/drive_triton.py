"""Runs in an environment with tritonclient: drives it against a server, and prints what it got.

Its one argument is JSON: url, token, model, inputs ({name: {"datatype", "data"}}) and outputs.
"""

import json
import sys
from typing import Any

import numpy as np
import tritonclient.http as triton
from tritonclient.utils import triton_to_np_dtype


def arrays(inputs: dict[str, Any]) -> dict[str, Any]:
    return {
        name: np.array(each["data"], dtype=triton_to_np_dtype(each["datatype"]))
        for name, each in inputs.items()
    }


def asked(given: dict[str, Any], *, binary: bool) -> list[Any]:
    """The inputs as the client wants them."""
    inputs = []
    for name, array in arrays(given["inputs"]).items():
        tensor = triton.InferInput(name, list(array.shape), given["inputs"][name]["datatype"])
        tensor.set_data_from_numpy(array, binary_data=binary)
        inputs.append(tensor)
    return inputs


def main() -> None:
    given = json.loads(sys.argv[1])
    token = {"Authorization": f"Bearer {given['token']}"}
    client = triton.InferenceServerClient(given["url"])
    model, outputs = given["model"], given["outputs"]
    answers: dict[str, Any] = {}
    # The client writes into the headers that it is given, so that each call gets its own.
    for way, in_bytes, out_bytes, options in (
        ("bytes", True, True, {}),
        ("json", False, False, {}),
        ("mixed", True, False, {"request_id": "mine"}),
        ("gzip", True, True, {"request_compression_algorithm": "gzip"}),
    ):
        wanted = [triton.InferRequestedOutput(name, binary_data=out_bytes) for name in outputs]
        result = client.infer(
            model, asked(given, binary=in_bytes), outputs=wanted, headers=dict(token), **options
        )
        answers[way] = {name: result.as_numpy(name).tolist() for name in outputs}
        if way == "mixed":
            answers["id"] = result.get_response()["id"]
    everything = client.infer(model, asked(given, binary=True), headers=dict(token))
    answers["everything"] = {name: everything.as_numpy(name).tolist() for name in outputs}
    try:
        client.infer(model, asked(given, binary=True)[:1] * 2, headers=dict(token))
        refused = ""
    except triton.InferenceServerException as error:
        refused = str(error)
    result = {
        "live": client.is_server_live(headers=dict(token)),
        "ready": client.is_server_ready(headers=dict(token)),
        "modelReady": client.is_model_ready(model, headers=dict(token)),
        "server": client.get_server_metadata(headers=dict(token)),
        "model": client.get_model_metadata(model, headers=dict(token)),
        "answers": answers,
        "refused": refused,
    }
    json.dump(result, sys.stdout)


if __name__ == "__main__":
    main()

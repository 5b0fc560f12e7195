"""What the data plane needs of the model server's modules: schema checks and protocols."""

from apps.serving.errors import BadRequest
from apps.serving.protocol import (
    EXTENSIONS,
    Wanted,
    id_of,
    instances_of,
    json_of,
    output_tensors,
    split_body,
    tensors_of,
    v2_body,
    wanted_of,
    with_tensors,
)
from apps.serving.recorded import TENSOR, as_object, restored
from apps.serving.schema import Schema, Violation, compile_schema
from apps.serving.tensors import (
    Tensor,
    as_described,
    datatype_of,
    is_array,
    listed,
    plain,
    read_tensors,
    rows_of,
    split,
)
from apps.serving.transformer import STEPS

__all__ = [
    "EXTENSIONS",
    "STEPS",
    "TENSOR",
    "BadRequest",
    "Schema",
    "Tensor",
    "Violation",
    "Wanted",
    "as_described",
    "as_object",
    "compile_schema",
    "datatype_of",
    "id_of",
    "instances_of",
    "is_array",
    "json_of",
    "listed",
    "output_tensors",
    "plain",
    "read_tensors",
    "restored",
    "rows_of",
    "split",
    "split_body",
    "tensors_of",
    "v2_body",
    "wanted_of",
    "with_tensors",
]

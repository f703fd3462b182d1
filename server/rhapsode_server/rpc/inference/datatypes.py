"""The types of tensors, as the Open Inference Protocol, Triton's model configuration and numpy name them."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from rhapsode.oip import inference_pb2
from rhapsode.v1 import bundle_pb2


@dataclass(frozen=True, slots=True)
class Datatype:
    """One type of a tensor's elements, little-endian where they lie in bytes."""

    name: str
    """In requests and replies: "FP32"."""
    dtype: np.dtype[Any]
    config: inference_pb2.DataType.ValueType
    """In a model's configuration."""
    contents: str
    """The field of typed contents that holds its elements; empty where only bytes do."""
    most_bytes: int
    """Of one element among typed contents."""


DATATYPES: Mapping[int, Datatype] = MappingProxyType(
    {
        bundle_pb2.DATA_TYPE_FLOAT32: Datatype(
            "FP32", np.dtype("<f4"), inference_pb2.TYPE_FP32, "fp32_contents", most_bytes=4
        ),
        bundle_pb2.DATA_TYPE_FLOAT16: Datatype("FP16", np.dtype("<f2"), inference_pb2.TYPE_FP16, "", most_bytes=2),
        bundle_pb2.DATA_TYPE_INT64: Datatype(
            "INT64", np.dtype("<i8"), inference_pb2.TYPE_INT64, "int64_contents", most_bytes=10
        ),
        bundle_pb2.DATA_TYPE_INT32: Datatype(
            "INT32", np.dtype("<i4"), inference_pb2.TYPE_INT32, "int_contents", most_bytes=10
        ),
        bundle_pb2.DATA_TYPE_UINT8: Datatype(
            "UINT8", np.dtype("u1"), inference_pb2.TYPE_UINT8, "uint_contents", most_bytes=2
        ),
        bundle_pb2.DATA_TYPE_BOOL: Datatype(
            "BOOL", np.dtype("?"), inference_pb2.TYPE_BOOL, "bool_contents", most_bytes=1
        ),
    }
)
"""Those that graphs of bundles have, by their type in bundle.json."""

"""Requests of the Open Inference Protocol for the tests."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from rhapsode.oip import inference_pb2 as oip
from rhapsode.oip.inference_pb2_grpc import GRPCInferenceServiceStub
from support.server import Running

if TYPE_CHECKING:
    from rhapsode.oip.inference_pb2_grpc import GRPCInferenceServiceAsyncStub

Tensor = oip.ModelInferRequest.InferInputTensor
Arrays = Mapping[str, NDArray[Any]]
FACES, SHAPES, TEXT = "tiny-faces.decode", "tiny-shapes.decode", "tiny-text.step"
_NAMES = {"float32": "FP32", "int64": "INT64"}
_FIELDS = {"float32": "fp32_contents", "int64": "int64_contents"}


def stub(server: Running) -> "GRPCInferenceServiceAsyncStub":
    return GRPCInferenceServiceStub(server.channel)


def latents(rows: int = 1, seed: int = 1) -> NDArray[np.float32]:
    """Latents for the decoders of the tests."""
    return np.random.Generator(np.random.PCG64(seed)).standard_normal((rows, 8), np.float32)


def raw(model: str, inputs: Arrays, **fields: Any) -> oip.ModelInferRequest:
    """A request with the bytes of its inputs."""
    request = oip.ModelInferRequest(model_name=model, **fields)
    for name, values in inputs.items():
        request.inputs.add(name=name, datatype=_NAMES[values.dtype.name], shape=values.shape)
        request.raw_input_contents.append(values.tobytes())
    return request


def typed(model: str, inputs: Arrays, **fields: Any) -> oip.ModelInferRequest:
    """A request with the numbers of its inputs."""
    request = oip.ModelInferRequest(model_name=model, **fields)
    for name, values in inputs.items():
        contents = oip.InferTensorContents(**cast("Any", {_FIELDS[values.dtype.name]: values.ravel().tolist()}))
        request.inputs.add(name=name, datatype=_NAMES[values.dtype.name], shape=values.shape, contents=contents)
    return request


def faces(rows: int = 1, seed: int = 1, **fields: Any) -> oip.ModelInferRequest:
    """A request for pictures of the autoencoder."""
    return raw(FACES, {"latent": latents(rows, seed)}, **fields)


def arrays(reply: oip.ModelInferResponse) -> Arrays:
    """The outputs of a reply that has floats only, by name."""
    found = {}
    for place, output in enumerate(reply.outputs):
        if reply.raw_output_contents:
            values = np.frombuffer(reply.raw_output_contents[place], np.float32)
        else:
            values = np.array(output.contents.fp32_contents, np.float32)
        found[output.name] = values.reshape(tuple(output.shape))
    return found

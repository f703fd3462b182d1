"""A graph → what ModelMetadata and ModelConfig tell of it."""

from collections.abc import Sequence

from rhapsode.oip import inference_pb2
from rhapsode_server.rpc.inference.graphs import TensorSpec
from rhapsode_server.rpc.inference.models import Found

PLATFORM, BACKEND = "onnxruntime_onnx", "onnxruntime"
TensorMetadata = inference_pb2.ModelMetadataResponse.TensorMetadata


def metadata(found: Found, versions: Sequence[str]) -> inference_pb2.ModelMetadataResponse:
    """Its tensors, with the axis of the batch."""
    return inference_pb2.ModelMetadataResponse(
        name=found.name,
        versions=versions,
        platform=PLATFORM,
        inputs=[_metadata(spec) for spec in found.graph.inputs.values()],
        outputs=[_metadata(spec) for spec in found.graph.outputs.values()],
    )


def configuration(found: Found, most_rows: int) -> inference_pb2.ModelConfig:
    """Its tensors, without the axis of the batch, and how it is served."""
    return inference_pb2.ModelConfig(
        name=found.name,
        platform=PLATFORM,
        backend=BACKEND,
        max_batch_size=most_rows,
        input=[
            inference_pb2.ModelInput(name=spec.name, data_type=spec.type.config, dims=_dims(spec))
            for spec in found.graph.inputs.values()
        ],
        output=[
            inference_pb2.ModelOutput(name=spec.name, data_type=spec.type.config, dims=_dims(spec))
            for spec in found.graph.outputs.values()
        ],
        model_transaction_policy=inference_pb2.ModelTransactionPolicy(decoupled=False),
    )


def _metadata(spec: TensorSpec) -> TensorMetadata:
    return TensorMetadata(name=spec.name, datatype=spec.type.name, shape=(-1, *spec.shape))


def _dims(spec: TensorSpec) -> Sequence[int]:
    return spec.shape

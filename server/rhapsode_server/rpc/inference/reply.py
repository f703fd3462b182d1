"""What a graph gave for rows of tensors → a ModelInferResponse."""

from collections.abc import Sequence

import numpy as np

from rhapsode.oip.inference_pb2 import ModelInferRequest, ModelInferResponse
from rhapsode_server.errors import InvalidField, OutputTooLarge
from rhapsode_server.models.tensors import Tensors
from rhapsode_server.rpc.inference import contents
from rhapsode_server.rpc.inference.graphs import GraphSpec, TensorSpec
from rhapsode_server.rpc.inference.models import Found
from rhapsode_server.rpc.inference.parameters import check_tensor

FINGERPRINT = "rhapsode_fingerprint"
_BYTES_BESIDE = 512  # of a reply, its tensors and its id aside
_BYTES_OF_TENSOR = 128  # its name and its elements aside


def wanted_outputs(asked: ModelInferRequest, graph: GraphSpec) -> Sequence[TensorSpec]:
    """The outputs that a request asks for: all, where it names none. Raises InvalidField."""
    if not asked.outputs:
        return list(graph.outputs.values())
    if len(asked.outputs) > len(graph.outputs):
        raise InvalidField("outputs", f"must have at most {len(graph.outputs)} elements")
    wanted: dict[str, TensorSpec] = {}
    for place, output in enumerate(asked.outputs):
        path = f"outputs[{place}]"
        if output.name not in graph.outputs:
            raise InvalidField(f"{path}.name", f"must be one of the model's outputs: {', '.join(graph.outputs)}")
        if output.name in wanted:
            raise InvalidField(f"{path}.name", "must not stand in two outputs")
        check_tensor(output.parameters, path)
        wanted[output.name] = graph.outputs[output.name]
    return list(wanted.values())


def reply_bytes(outputs: Sequence[TensorSpec], rows: int, *, raw: bool, id_bytes: int) -> int:
    """An upper bound of a reply's bytes. Raises InvalidField where it cannot be typed."""
    size = _BYTES_BESIDE + id_bytes
    for spec in outputs:
        if not raw and not spec.type.contents:
            rule = f"must hold the inputs: typed contents cannot hold the output {spec.name}, which is {spec.type.name}"
            raise InvalidField("raw_input_contents", rule)
        each = spec.row_bytes if raw else spec.numbers * spec.type.most_bytes
        size += _BYTES_OF_TENSOR + len(spec.name.encode()) + rows * each
    return size


def check_fits(size: int, most: int) -> None:
    """Raise OutputTooLarge where a reply might outgrow a message."""
    if size > most:
        rule = f"may take {size} bytes, over the limit of {most} for a message; ask for fewer rows or outputs"
        raise OutputTooLarge("outputs", rule, {"bytes": str(size), "max": str(most)})


def fill(
    message: ModelInferResponse, found: Found, outputs: Sequence[TensorSpec], made: Sequence[Tensors], *, raw: bool
) -> None:
    """Write what was made of each row, in order, into a message; one that is filled in place is not copied."""
    message.model_name, message.model_version = found.name, found.version
    message.parameters[FINGERPRINT].string_param = found.served.loaded.fingerprint
    for spec in outputs:
        tensor = message.outputs.add(name=spec.name, datatype=spec.type.name, shape=(len(made), *spec.shape))
        if raw:
            message.raw_output_contents.append(b"".join([each.outputs[spec.name].tobytes() for each in made]))
        else:
            values = np.stack([each.outputs[spec.name] for each in made])
            contents.write(tensor.contents, spec.type, values)

"""ONNX models made to reach outside, to ask for too much, or never to end."""

from collections.abc import Callable

import numpy as np
import onnx
from onnx import ModelProto, TensorProto, helper, numpy_helper

Change = Callable[[ModelProto], object]


def small(name: str = "small", kind: int = TensorProto.FLOAT, dims: tuple[int, ...] = (1,)) -> TensorProto:
    return TensorProto(name=name, data_type=kind, dims=dims, raw_data=b"\0" * 4)


def outside(location: str) -> TensorProto:
    tensor = TensorProto(name="outside", data_type=TensorProto.FLOAT, dims=[1], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value=location)
    return tensor


def weight(tensor: TensorProto) -> Change:
    return lambda model: model.graph.initializer.append(tensor)


def node(operator: str, inputs: list[str], *stored_there: TensorProto, domain: str = "") -> Change:
    def change(model: ModelProto) -> None:
        model.graph.initializer.extend(stored_there)
        model.graph.node.append(helper.make_node(operator, inputs, ["made"], name="bad", domain=domain))
        if domain:
            model.opset_import.append(helper.make_opsetid(domain, 1))

    return change


def whole(name: str, *numbers: int) -> TensorProto:
    return numpy_helper.from_array(np.array(numbers, np.int64), name)


def loop(steps: list[TensorProto], inside: list[onnx.NodeProto] | None = None) -> Change:
    """A Loop that counts to the first of the stored tensors, or to nothing stored."""

    def change(model: ModelProto) -> None:
        model.graph.initializer.extend(steps)
        counted = steps[0].name if steps else ""
        model.graph.node.append(helper.make_node("Loop", [counted, ""], ["made"], name="bad", body=body(inside or [])))

    return change


def body(nodes: list[onnx.NodeProto]) -> onnx.GraphProto:
    number = helper.make_tensor_value_info("number", TensorProto.INT64, [])
    going = helper.make_tensor_value_info("going", TensorProto.BOOL, [])
    still = helper.make_tensor_value_info("still", TensorProto.BOOL, [])
    return helper.make_graph(
        [helper.make_node("Identity", ["going"], ["still"]), *nodes], "body", [number, going], [still]
    )


def deep(depth: int) -> onnx.GraphProto:
    inner = body([])
    for _ in range(depth):
        inner = body([helper.make_node("If", ["going"], ["x"], then_branch=inner, else_branch=body([]))])
    return inner


def nested(depth: int) -> Change:
    return lambda model: model.graph.node.append(helper.make_node("If", ["flag"], ["made"], then_branch=deep(depth)))


def field(number: int, content: bytes) -> bytes:
    length, size = bytearray(), len(content)
    while size >= 128:
        length.append(size & 127 | 128)
        size >>= 7
    return bytes([number << 3 | 2, *length, size]) + content


def hungry(numbers: int) -> Change:
    """A picture that takes so many numbers for each row on its way, which nobody can tell without running it."""

    def change(model: ModelProto) -> None:
        last = model.graph.node[-1]
        last.output[0] = "clean"
        model.graph.initializer.extend([whole("each", numbers, 1), whole("first", 0)])
        model.graph.node.extend(
            [
                helper.make_node("Shape", ["latent"], ["shape"]),
                helper.make_node("Mul", ["shape", "each"], ["large"]),
                helper.make_node("ConstantOfShape", ["large"], ["nothing"]),
                helper.make_node("ReduceMax", ["nothing"], ["zero"], keepdims=0),
                helper.make_node("Add", ["clean", "zero"], ["image"]),
            ]
        )

    return change

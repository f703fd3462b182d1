"""ONNX models changed the way that a wrong or hostile exporter would change them."""

from collections.abc import Callable, Sequence
from functools import cache
from random import Random

import onnx
from benchmarks.fuzz import bundle_messages as messages
from benchmarks.fuzz import bundle_wild as wild
from onnx import AttributeProto, ModelProto, NodeProto, TensorProto, numpy_helper
from onnx.defs import OpSchema

_CONTRIBUTED = ("MatMulNBits", "FusedConv", "Attention", "GroupQueryAttention", "QuickGelu", "EPContext", "BeamSearch")
_SIZED = ("ConstantOfShape", "Expand", "Tile", "Range", "Pad", "Resize", "OneHot", "Loop", "Scan", "If", "NonZero")


def spoil(model: ModelProto, dice: Random) -> None:
    """Change a model once or a few times."""
    for _ in range(dice.choice((1, 1, 1, 2, 4))):
        dice.choice(_WAYS)(model, dice)


def _anything(model: ModelProto, dice: Random) -> None:
    messages.spoil(model, dice)


def _another_operator(model: ModelProto, dice: Random) -> None:
    node = _node(model, dice)
    if dice.random() < 0.2:
        node.domain, node.op_type = "com.microsoft", dice.choice(_CONTRIBUTED)
        model.opset_import.append(onnx.helper.make_opsetid("com.microsoft", 1))
        return
    schema = _operator(len(node.input), dice)
    node.op_type = schema.name
    if dice.random() < 0.7:  # one that the checker of ONNX lets through
        known = [attribute for attribute in node.attribute if attribute.name in schema.attributes]
        del node.attribute[:]
        node.attribute.extend(known)
        _require(node, schema, dice)


def _another_wire(model: ModelProto, dice: Random) -> None:
    node = _node(model, dice)
    values = _values(model, node if dice.random() < 0.9 else None)
    if node.input and dice.random() < 0.8:
        node.input[dice.randrange(len(node.input))] = dice.choice(values)
    elif dice.random() < 0.5:
        node.input.append(dice.choice(values))
    elif node.input:
        node.input.pop()


def _a_node_between(model: ModelProto, dice: Random) -> None:
    """An operator of any kind on a wire; what it gives goes on in place of what it took."""
    node = _node(model, dice)
    if not node.input:
        return
    taken, made = node.input[0], f"between{dice.randrange(10**6)}"
    others = [dice.choice(_values(model, node)) for _ in range(dice.choice((0, 0, 1, 2)))]
    schema = _operator(1 + len(others), dice)
    place = list(model.graph.node).index(node)
    node.input[0] = made
    between = onnx.helper.make_node(schema.name, [taken, *others], [made])
    _require(between, schema, dice)
    model.graph.node.insert(place, between)


def _an_attribute(model: ModelProto, dice: Random) -> None:
    node = _node(model, dice)
    schema = onnx.defs.get_schema(node.op_type) if onnx.defs.has(node.op_type) else None
    names = sorted(schema.attributes) if schema else []
    if node.attribute and (not names or dice.random() < 0.6):
        messages.spoil(dice.choice(list(node.attribute)), dice)
    elif names:
        value = dice.choice(
            (wild.whole(dice), [wild.whole(dice) for _ in range(dice.randrange(1, 5))], 1.5, "SAME_UPPER")
        )
        node.attribute.append(onnx.helper.make_attribute(dice.choice(names), value))


def _stored_numbers(model: ModelProto, dice: Random) -> None:
    """Numbers of a stored tensor become others; those of a short one, which may be a shape or an axis, most often."""
    stored = list(model.graph.initializer)
    if not stored:
        return
    short = [tensor for tensor in stored if len(tensor.raw_data) <= 64]
    tensor = dice.choice(short if short and dice.random() < 0.7 else stored)
    values = numpy_helper.to_array(tensor).copy()
    for _ in range(dice.choice((1, 1, 4))):
        if values.size:
            number = wild.real(dice) if values.dtype.kind == "f" else wild.whole(dice, 8 * values.dtype.itemsize)
            values.reshape(-1)[dice.randrange(values.size)] = number if values.dtype.kind in "fi" else abs(number) % 2
    tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))


def _another_shape(model: ModelProto, dice: Random) -> None:
    """A stored tensor whose dims say otherwise, with the data to it or without."""
    if not model.graph.initializer:
        return
    tensor: TensorProto = dice.choice(list(model.graph.initializer))
    if dice.random() < 0.5:
        values = numpy_helper.to_array(tensor)
        shape = dice.choice([(values.size,), (values.size, 1), (1, *values.shape), values.shape[::-1]])
        tensor.CopyFrom(numpy_helper.from_array(values.reshape(shape), tensor.name))
    elif tensor.dims:
        tensor.dims[dice.randrange(len(tensor.dims))] = wild.whole(dice)
    if dice.random() < 0.3:
        tensor.data_type = dice.randrange(24)


def _node_lost_or_twice(model: ModelProto, dice: Random) -> None:
    node = _node(model, dice)
    model.graph.node.append(node) if dice.random() < 0.5 else model.graph.node.remove(node)


def _another_opset(model: ModelProto, dice: Random) -> None:
    dice.choice(list(model.opset_import) or [model.opset_import.add()]).version = dice.choice(
        (0, 1, 7, 9, 11, 13, 17, 18, 22, 23, 24, 99, 2**40, -1)
    )


def _a_graph_inside(model: ModelProto, dice: Random) -> None:
    """The whole graph once more, inside a node's attribute; or again and again."""
    node = _node(model, dice)
    for _ in range(dice.choice((1, 2, 6))):
        inner = AttributeProto(name=dice.choice(("body", "then_branch", "else_branch")), type=AttributeProto.GRAPH)
        inner.g.CopyFrom(model.graph)
        if inner.ByteSize() < 10**7:
            node.attribute.append(inner)
            if dice.random() < 0.5:
                node.op_type = dice.choice(("Loop", "Scan", "If"))


def _node(model: ModelProto, dice: Random) -> NodeProto:
    return dice.choice(list(model.graph.node) or [model.graph.node.add()])


def _operator(inputs: int, dice: Random) -> OpSchema:
    """A standard operator, most often one that takes so many inputs."""
    if dice.random() < 0.2:
        return onnx.defs.get_schema(dice.choice(_SIZED))
    fitting = [schema for schema in _standard() if schema.min_input <= inputs <= schema.max_input]
    return dice.choice(fitting or _standard())


def _require(node: NodeProto, schema: OpSchema, dice: Random) -> None:
    """Give the node the attributes that its operator cannot be without, with values of the right kind."""
    there = {attribute.name for attribute in node.attribute}
    for name, attribute in sorted(schema.attributes.items()):
        if name in there or not (attribute.required or dice.random() < 0.2):
            continue
        numbers = [dice.choice((0, 1, 2, 3, -1, wild.whole(dice))) for _ in range(dice.randrange(1, 5))]
        values = {"INT": numbers[0], "INTS": numbers, "FLOAT": wild.real(dice), "FLOATS": [1.0], "STRING": "linear"}
        if (kind := str(attribute.type).rpartition(".")[2]) in values:
            node.attribute.append(onnx.helper.make_attribute(name, values[kind]))


def _values(model: ModelProto, before: NodeProto | None) -> Sequence[str]:
    """What a node can take: all that is made before it, and now and then what is not there at all."""
    made: list[str] = []
    for node in model.graph.node:
        if before is not None and node == before:
            break
        made += node.output
    return [*made, *(value.name for value in model.graph.input), *(t.name for t in model.graph.initializer), ""]


@cache
def _standard() -> Sequence[OpSchema]:
    """In an order of their own, so that a mutant is the same everywhere."""
    return sorted((schema for schema in onnx.defs.get_all_schemas() if schema.domain == ""), key=lambda each: each.name)


_WAYS: Sequence[Callable[[ModelProto, Random], None]] = (
    _anything,
    _anything,
    _another_operator,
    _another_operator,
    _another_wire,
    _a_node_between,
    _a_node_between,
    _an_attribute,
    _an_attribute,
    _stored_numbers,
    _stored_numbers,
    _another_shape,
    _node_lost_or_twice,
    _another_opset,
    _a_graph_inside,
)

"""The operators that a graph may be made of."""

from collections.abc import Iterator, Mapping
from itertools import chain

from onnx import ModelProto, NodeProto, TensorProto, numpy_helper

from rhapsode_server.repository import limits
from rhapsode_server.repository.onnx_parts import REPEATERS, Scope, nodes, scopes
from rhapsode_server.repository.problems import Problem

_STANDARD = frozenset({"", "ai.onnx"})
CONTRIBUTED = "com.microsoft"
# Of ONNX Runtime's own operators those that compute a layer from tensors. Not among them: what loads a file or a
# foreign engine (EPContext, Snpe), generates by itself (BeamSearch, Sampling…), reads strings, or serves training.
LAYERS = frozenset(
    {
        "Attention",
        "BiasAdd",
        "BiasGelu",
        "BiasSoftmax",
        "BiasSplitGelu",
        "DequantizeLinear",
        "DynamicQuantizeLSTM",
        "DynamicQuantizeMatMul",
        "EmbedLayerNormalization",
        "FastGelu",
        "FusedConv",
        "FusedGemm",
        "FusedMatMul",
        "GatherBlockQuantized",
        "Gelu",
        "GroupNorm",
        "GroupQueryAttention",
        "MatMulInteger16",
        "MatMulIntegerToFloat",
        "MatMulNBits",
        "MultiHeadAttention",
        "QAttention",
        "QGemm",
        "QLinearAdd",
        "QLinearAveragePool",
        "QLinearConcat",
        "QLinearConv",
        "QLinearGlobalAveragePool",
        "QLinearLeakyRelu",
        "QLinearMul",
        "QLinearSigmoid",
        "QLinearSoftmax",
        "QLinearWhere",
        "QuantizeLinear",
        "QuickGelu",
        "RelativePositionBias",
        "RotaryEmbedding",
        "SkipGroupNorm",
        "SkipLayerNormalization",
        "SkipSimplifiedLayerNormalization",
        "Trilu",
    }
)
# Of the standard's own those that compute no layer: of strings, sequences, optional values, encoded pictures. Shape
# inference, which has to look at a graph before anything runs, ends the process on some of them in wrong places.
_NO_LAYERS = frozenset(
    {
        "CenterCropPad",
        "ConcatFromSequence",
        "ImageDecoder",
        "Optional",
        "OptionalGetElement",
        "OptionalHasElement",
        "RegexFullMatch",
        "SequenceAt",
        "SequenceConstruct",
        "SequenceEmpty",
        "SequenceErase",
        "SequenceInsert",
        "SequenceLength",
        "SequenceMap",
        "SplitToSequence",
        "StringConcat",
        "StringNormalizer",
        "StringSplit",
        "TfIdfVectorizer",
    }
)
# Same seed, same bytes: noise comes in through an input, or not at all.
_RANDOM = frozenset(
    {"Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"}
)


def check(model: ModelProto, file: str) -> Iterator[Problem]:
    """Operators that no server need know, that draw, that never end, and more of them than a graph may have."""
    if model.functions:
        yield Problem("G3", file, f"defines the function {model.functions[0].name!r}; inline it")
    yield from _domain_problems(model, file)
    beyond = [*_count_problems(model, file)]
    yield from beyond
    if beyond:  # what is without end is not gone through
        return
    for node in nodes(model.graph):
        if _moves(node):
            yield Problem("G4", f"{file}: node {node.name!r}", f"{node.op_type} draws noise or batch statistics")
    yield from _loop_problems(model, file)


def _count_problems(model: ModelProto, file: str) -> Iterator[Problem]:
    depths = [scope.depth for scope in scopes(model.graph)]
    if max(depths) > limits.GRAPH_DEPTH:
        yield Problem("G10", file, f"has graphs inside graphs {max(depths)} deep, the most is {limits.GRAPH_DEPTH}")
    if (inside := len(depths) - 1) > limits.BODIES:
        yield Problem("G10", file, f"has {inside} graphs inside its nodes, the most is {limits.BODIES}")
    if (count := sum(1 for _ in nodes(model.graph))) > limits.NODES:
        yield Problem("G10", file, f"has {count} nodes, the most is {limits.NODES}")


def _domain_problems(model: ModelProto, file: str) -> Iterator[Problem]:
    used = {(node.domain, node.op_type) for node in nodes(model.graph)}
    foreign = {entry.domain for entry in model.opset_import} | {domain for domain, _ in used}
    for domain in sorted(foreign - _STANDARD - {CONTRIBUTED}):
        yield Problem("G3", file, f"uses operators of the domain {domain!r}, which no server need know")
    for operator in sorted({name for domain, name in used if domain in _STANDARD} & _NO_LAYERS):
        yield Problem("G3", file, f"uses {operator}, which computes no layer")
    for operator in sorted(name for domain, name in used if domain == CONTRIBUTED and name not in LAYERS):
        yield Problem("G3", file, f"uses {CONTRIBUTED}::{operator!r}, which is not one of the layers that are allowed")


def _loop_problems(model: ModelProto, file: str) -> Iterator[Problem]:
    stored: dict[Scope, Mapping[str, TensorProto]] = {}
    for scope in scopes(model.graph):  # outer ones come first
        stored[scope] = _stored(scope)
        for node in scope.graph.node:
            where = f"{file}: node {node.name!r}"
            if node.op_type in REPEATERS and scope.repeated:
                yield Problem("G11", where, f"{node.op_type} stands inside a loop; loops are not nested")
            if node.op_type == "Loop" and not 0 <= _steps(node, scope, stored) <= limits.LOOP_STEPS:
                text = f"Loop needs a stored number of steps, at most {limits.LOOP_STEPS}"
                yield Problem("G11", where, text)


def _steps(node: NodeProto, scope: Scope, stored: Mapping[Scope, Mapping[str, TensorProto]]) -> int:
    """What a Loop counts to where that is stored in sight of it; -1 where it is not."""
    name = node.input[0] if node.input else ""
    for place in scope.sight():
        if (number := stored[place].get(name)) is not None:
            return _number(number)
    return -1


def _stored(scope: Scope) -> Mapping[str, TensorProto]:
    constants = (
        (node.output[0], attribute.t)
        for node in scope.graph.node
        if node.op_type == "Constant" and len(node.output) == 1
        for attribute in node.attribute
        if attribute.name == "value"
    )
    return dict(chain(((tensor.name, tensor) for tensor in scope.graph.initializer), constants))


def _number(tensor: TensorProto) -> int:
    if tensor.data_type != TensorProto.INT64 or any(size != 1 for size in tensor.dims):
        return -1
    return int(numpy_helper.to_array(tensor).item())


def _moves(node: NodeProto) -> bool:
    """Whether a node's result depends on anything but its row: on chance, or on the rest of the batch."""
    if node.op_type in _RANDOM:
        return True
    if node.op_type == "Dropout":
        return len(node.input) > 2  # the third input switches training on
    return node.op_type == "BatchNormalization" and any(a.name == "training_mode" and a.i for a in node.attribute)

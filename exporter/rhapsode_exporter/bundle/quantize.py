"""Weight-only quantisation of a graph: matrix products over stored weights become MatMulNBits."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

from rhapsode_exporter.bundle.blocks import Scheme, to_blocks
from rhapsode_exporter.errors import QuantizationRefusedError

DOMAIN = "com.microsoft"
# MatMulNBits' accuracy levels: inputs rounded to 8 bits, each row in blocks of its own, or left in float32.
ROUNDED_INPUTS, EXACT_INPUTS = 4, 1


class Precision(StrEnum):
    """What weights are stored in."""

    INT8 = "int8"
    INT4 = "int4"


# The largest blocks with which a row had the same bits in every batch, on processors with AVX-512 and with AVX2 alike
# (ONNX Runtime 1.31.1). Larger ones differ on one of them between a row in company and the odd or only row of a batch.
SCHEMES: Mapping[Precision, Scheme] = MappingProxyType({Precision.INT8: Scheme(8, 64), Precision.INT4: Scheme(4, 16)})


def has_products(model: ModelProto) -> bool:
    """Whether there is anything to quantise."""
    stored = _stored(model)
    return any(_is_product(node, stored) for node in model.graph.node)


def quantize(model: ModelProto, scheme: Scheme, accuracy_level: int = ROUNDED_INPUTS) -> ModelProto:
    """A copy of the model with the weights of its matrix products in blocks; all else stays as it is.

    A product is a MatMul, or a Gemm with neither factors nor a transposed first input, whose second input is a stored
    float32 matrix. Bodies of If, Loop and Scan are left alone. Raises QuantizationRefusedError where there is no
    product, or weights are not finite.
    """
    made = ModelProto()
    made.CopyFrom(model)
    stored = _stored(made)
    weights: dict[tuple[str, bool], _Weights] = {}  # two products may share theirs
    nodes: list[NodeProto] = []
    for node in made.graph.node:
        if _is_product(node, stored):
            key = (node.input[1], _attribute(node, "transB", 0) == 1)
            if key not in weights:
                weights[key] = _in_blocks(stored[key[0]], scheme, transposed=key[1])
            nodes += _product(node, weights[key], scheme, accuracy_level)
        else:
            nodes.append(node)
    if not weights:
        text = "has nothing to quantise: no MatMul, and no Gemm without factors, by a stored float32 matrix"
        raise QuantizationRefusedError(text)
    _replace(made, nodes, [tensor for parts in weights.values() for tensor in parts.tensors])
    return made


@dataclass(frozen=True, slots=True, eq=False)
class _Weights:
    """A matrix [rows, columns] as the graph stores it: levels, scales and zero points."""

    rows: int
    columns: int
    tensors: tuple[TensorProto, ...]


def _stored(model: ModelProto) -> Mapping[str, TensorProto]:
    return {tensor.name: tensor for tensor in model.graph.initializer}


def _is_product(node: NodeProto, stored: Mapping[str, TensorProto]) -> bool:
    if node.domain not in ("", "ai.onnx") or node.op_type not in ("MatMul", "Gemm"):
        return False
    tensor = stored.get(node.input[1])
    if tensor is None or tensor.data_type != TensorProto.FLOAT or len(tensor.dims) != 2:
        return False
    return _attribute(node, "transA", 0) == 0 and _attribute(node, "alpha", 1) == _attribute(node, "beta", 1) == 1


def _attribute(node: NodeProto, name: str, default: float) -> float:
    found = (helper.get_attribute_value(attribute) for attribute in node.attribute if attribute.name == name)
    return float(next(found, default))


def _in_blocks(tensor: TensorProto, scheme: Scheme, *, transposed: bool) -> _Weights:
    found: NDArray[np.float32] = numpy_helper.to_array(tensor)
    if not np.isfinite(found).all():
        raise QuantizationRefusedError(f"has weights that are not finite, in {tensor.name!r}; mend the float32 model")
    matrix = found.T if transposed else found
    blocks = to_blocks(matrix, scheme)
    stem = f"{tensor.name}.{'transposed.' if transposed else ''}int{scheme.bits}"
    tensors = (
        numpy_helper.from_array(blocks.levels, f"{stem}.levels"),
        numpy_helper.from_array(blocks.scales, f"{stem}.scales"),
        numpy_helper.from_array(blocks.zero_points, f"{stem}.zero_points"),
    )
    return _Weights(matrix.shape[0], matrix.shape[1], tensors)


def _product(node: NodeProto, weights: _Weights, scheme: Scheme, accuracy_level: int) -> Iterator[NodeProto]:
    """MatMulNBits in the place of a product, and an Add for a Gemm's bias (ONNX Runtime fuses the two)."""
    bias = [name for name in node.input[2:] if name]
    output = f"{node.output[0]}.product" if bias else node.output[0]
    yield helper.make_node(
        "MatMulNBits",
        [node.input[0], *(tensor.name for tensor in weights.tensors)],
        [output],
        node.name,
        domain=DOMAIN,
        K=weights.rows,
        N=weights.columns,
        bits=scheme.bits,
        block_size=scheme.block,
        accuracy_level=accuracy_level,
    )
    if bias:
        yield helper.make_node("Add", [output, *bias], node.output)


def _replace(model: ModelProto, nodes: list[NodeProto], tensors: list[TensorProto]) -> None:
    """Put nodes and tensors into the model's graph, and drop the weights that nothing uses any more."""
    graph = model.graph
    del graph.node[:]
    graph.node.extend(nodes)
    used = {*_used(graph)}
    left = [tensor for tensor in graph.initializer if tensor.name in used]
    del graph.initializer[:]
    graph.initializer.extend([*left, *tensors])
    if all(entry.domain != DOMAIN for entry in model.opset_import):
        model.opset_import.append(helper.make_opsetid(DOMAIN, 1))


def _used(graph: GraphProto) -> Iterator[str]:
    """The names that a graph's nodes and outputs use, those inside If, Loop and Scan included."""
    yield from (value.name for value in graph.output)
    for node in graph.node:
        yield from node.input
        for attribute in node.attribute:
            if attribute.type == AttributeProto.GRAPH:
                yield from _used(attribute.g)

"""Matrix products in few bits compute what their stored weights say, and the same for a row in any company."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, helper, numpy_helper

from rhapsode_exporter.bundle.blocks import Blocks, Scheme, to_blocks
from rhapsode_exporter.bundle.company import batch_invariant
from rhapsode_exporter.bundle.onnx_runtime import OnnxRuntime
from rhapsode_exporter.bundle.quantize import EXACT_INPUTS, SCHEMES, Precision, has_products, quantize
from rhapsode_exporter.errors import QuantizationRefusedError
from support import graphs

Floats = NDArray[np.float32]
ROWS, COLUMNS = 72, 20  # no whole number of blocks, and an odd one
every_scheme = pytest.mark.parametrize("scheme", SCHEMES.values(), ids=SCHEMES)


def draw(*shape: int, seed: int = 1) -> Floats:
    return np.random.Generator(np.random.PCG64(seed)).standard_normal(shape, np.float32)


def unpack(numbers: NDArray[np.uint8], bits: int) -> NDArray[np.int64]:
    """Packed numbers as the operator's documentation reads them: of two in a byte, the lower half is the earlier."""
    if bits == 4:
        numbers = np.stack((numbers & 15, numbers >> 4), axis=-1).reshape(*numbers.shape[:-1], -1)
    return numbers.astype(np.int64)


def restore(blocks: Blocks, rows: int, scheme: Scheme) -> Floats:
    """The matrix [rows, N] that the blocks stand for."""
    count = blocks.scales.shape[1]
    zeros = unpack(blocks.zero_points, scheme.bits)[:, :count, None]
    weights = blocks.scales[..., None] * (unpack(blocks.levels, scheme.bits) - zeros).astype(np.float32)
    return np.ascontiguousarray(weights.reshape(len(weights), -1)[:, :rows].T)


def model(nodes: list[NodeProto], weights: Mapping[str, NDArray[Any]], columns: int = COLUMNS) -> ModelProto:
    """x [batch, ROWS] → y [batch, columns]."""
    return graphs.model(nodes, [graphs.floats("x", ROWS)], [graphs.floats("y", columns)], weights)


def run(made: ModelProto, x: Floats) -> Floats:
    onnx.checker.check_model(made, full_check=True)
    found: Floats = OnnxRuntime(made.SerializeToString()).run({"x": x})["y"].astype(np.float32)
    return found


def operators(made: ModelProto) -> list[str]:
    return [node.op_type for node in made.graph.node]


def stored(made: ModelProto) -> set[str]:
    return {tensor.name for tensor in made.graph.initializer}


@every_scheme
@pytest.mark.parametrize("rows", [1, 16, 72, 130])
def test_every_weight_is_off_by_half_a_level_at_most(rows: int, scheme: Scheme) -> None:
    weights = draw(rows, 5)
    weights[:, 0] = 0.0
    weights[:, 1] = np.abs(weights[:, 1]) + 3  # zero is a level of every block all the same
    blocks = to_blocks(weights, scheme)
    steps = np.repeat(blocks.scales, scheme.block, axis=1)[:, :rows].T
    assert (np.abs(restore(blocks, rows, scheme) - weights) <= 0.501 * steps).all()
    assert blocks.levels.shape == (5, -(-rows // scheme.block), scheme.block * scheme.bits // 8)


@dataclass(frozen=True)
class Product:
    """A node that multiplies x by W [ROWS, COLUMNS], which it finds as `stored`, and adds `bias`."""

    node: NodeProto
    transposed: bool = False
    bias: bool = False

    def model(self, weights: Floats) -> ModelProto:
        tensors = {"w": np.ascontiguousarray(weights.T) if self.transposed else weights}
        return model([self.node], tensors | {"b": draw(COLUMNS, seed=3)} if self.bias else tensors)


PRODUCTS = {
    "MatMul": Product(helper.make_node("MatMul", ["x", "w"], ["y"])),
    "Gemm": Product(helper.make_node("Gemm", ["x", "w"], ["y"])),
    "Gemm with bias": Product(helper.make_node("Gemm", ["x", "w", "b"], ["y"]), bias=True),
    "Gemm with transB": Product(helper.make_node("Gemm", ["x", "w"], ["y"], transB=1), transposed=True),
    "Gemm with both": Product(helper.make_node("Gemm", ["x", "w", "b"], ["y"], transB=1), transposed=True, bias=True),
}
every_product = pytest.mark.parametrize("product", PRODUCTS.values(), ids=PRODUCTS)


@every_scheme
@every_product
def test_the_graph_computes_with_the_weights_that_it_stores(product: Product, scheme: Scheme) -> None:
    weights, x = draw(ROWS, COLUMNS), draw(9, ROWS, seed=2)
    wanted = run(product.model(restore(to_blocks(weights, scheme), ROWS, scheme)), x)
    source = product.model(weights)
    exact, rounded = (run(quantize(source, scheme, level), x) for level in (EXACT_INPUTS, 4))
    assert np.allclose(exact, wanted, atol=1e-4)
    assert 0 < np.abs(rounded - wanted).max() < 0.02 * np.abs(wanted).max()
    made = quantize(source, scheme)
    assert operators(made) == ["MatMulNBits", "Add"] if product.bias else ["MatMulNBits"]
    assert "w" not in stored(made)
    assert source == product.model(weights)


@every_scheme
@every_product
def test_a_row_has_the_same_bits_in_every_company(product: Product, scheme: Scheme) -> None:
    graph = OnnxRuntime(quantize(product.model(draw(ROWS, COLUMNS)), scheme).SerializeToString())
    x = draw(33, ROWS, seed=2)
    assert batch_invariant(graph, {"x": x})
    whole = graph.run({"x": x})["y"]
    for batch in (1, 3, 8, 33):
        rows = np.random.Generator(np.random.PCG64(batch)).permutation(33)[:batch]
        assert np.array_equal(graph.run({"x": x[rows]})["y"].view(np.uint32), whole[rows].view(np.uint32))


def test_a_row_that_looks_at_its_company_is_found() -> None:
    nodes = [helper.make_node("ReduceMax", ["x", "axes"], ["most"]), helper.make_node("Sub", ["x", "most"], ["y"])]
    graph = model(nodes, {"axes": np.array([0], np.int64)}, ROWS)
    assert not batch_invariant(OnnxRuntime(graph.SerializeToString()), {"x": draw(33, ROWS)})


def test_shared_weights_are_stored_once_and_other_users_keep_theirs() -> None:
    nodes = [
        helper.make_node("MatMul", ["x", "square"], ["first"]),
        helper.make_node("MatMul", ["first", "square"], ["second"]),
        helper.make_node("Gemm", ["second", "square"], ["third"], transB=1),
        helper.make_node("Gather", ["square", "zero"], ["row"]),
        helper.make_node("Add", ["third", "row"], ["y"]),
    ]
    source = model(nodes, {"square": draw(ROWS, ROWS) / 9, "zero": np.array(0)}, ROWS)
    made = quantize(source, SCHEMES[Precision.INT8])
    parts = ("levels", "scales", "zero_points")
    assert stored(made) == {
        *("square", "zero"),
        *(f"square.{form}int8.{part}" for form in ("", "transposed.") for part in parts),
    }
    x = draw(4, ROWS, seed=2)
    assert np.allclose(run(made, x), run(source, x), atol=0.05)


def test_weights_that_only_a_branch_uses_stay() -> None:
    branch = helper.make_graph(
        [helper.make_node("MatMul", ["x", "inner"], ["taken"])], "branch", [], [graphs.floats("taken", COLUMNS)]
    )
    nodes = [
        helper.make_node("If", ["yes"], ["chosen"], then_branch=branch, else_branch=branch),
        helper.make_node("MatMul", ["x", "outer"], ["product"]),
        helper.make_node("Add", ["chosen", "product"], ["y"]),
    ]
    weights = {"yes": np.array(True), "inner": draw(ROWS, COLUMNS), "outer": draw(ROWS, COLUMNS)}
    source = model(nodes, weights)
    made = quantize(source, SCHEMES[Precision.INT8])
    assert {"inner", "yes"} < stored(made)
    assert "outer" not in stored(made)
    run(made, draw(4, ROWS))


NOT_PRODUCTS = {
    "no product": ([helper.make_node("Tanh", ["x"], ["y"])], {}),
    "a factor": ([helper.make_node("Gemm", ["x", "w"], ["y"], alpha=0.5)], {"w": draw(ROWS, ROWS)}),
    "a transposed input": ([helper.make_node("Gemm", ["x", "w"], ["y"], transA=1)], {"w": draw(ROWS, ROWS)}),
    "no stored weights": ([helper.make_node("MatMul", ["x", "x"], ["y"])], {}),
    "a stack of matrices": ([helper.make_node("MatMul", ["x", "w"], ["y"])], {"w": draw(1, ROWS, ROWS)}),
    "half precision": ([helper.make_node("MatMul", ["x", "w"], ["y"])], {"w": draw(ROWS, ROWS).astype(np.float16)}),
}


@pytest.mark.parametrize(("nodes", "weights"), NOT_PRODUCTS.values(), ids=NOT_PRODUCTS)
def test_a_graph_without_stored_products_is_refused(nodes: list[NodeProto], weights: dict[str, NDArray[Any]]) -> None:
    source = model(nodes, weights, ROWS)
    assert not has_products(source)
    with pytest.raises(QuantizationRefusedError, match="nothing to quantise: no MatMul"):
        quantize(source, SCHEMES[Precision.INT8])


def test_weights_that_are_not_finite_are_refused() -> None:
    weights = draw(ROWS, COLUMNS)
    weights[3, 4] = np.nan
    with pytest.raises(QuantizationRefusedError, match="not finite, in 'w'"):
        quantize(PRODUCTS["MatMul"].model(weights), SCHEMES[Precision.INT8])


def test_a_quantised_graph_has_nothing_left_to_quantise() -> None:
    made = quantize(PRODUCTS["MatMul"].model(draw(ROWS, COLUMNS)), SCHEMES[Precision.INT4])
    assert [entry.domain for entry in made.opset_import] == ["", "com.microsoft"]
    assert not has_products(made)
    assert numpy_helper.to_array(made.graph.initializer[0]).dtype == np.uint8

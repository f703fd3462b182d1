"""What CUDA would do with every graph that ships, as it is and fused, found without a GPU."""

from collections.abc import Callable
from functools import cache
from typing import TypeAlias

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from house.project import ROOT
from rhapsode_server.runtime.ort import ort
from rhapsode_server.runtime.providers import CPU, CUDA
from support import graphs, stand_ins
from support.cuda_placement import Node, Placement, place
from support.placed_graphs import MODELS, Subject, row, subjects

Place: TypeAlias = Callable[[bytes], Placement]
Find: TypeAlias = Callable[[Subject], Placement]
SUBJECTS = list(subjects())
PAGE = ROOT / "docs/gpu.md"


def in_form(*forms: str) -> pytest.MarkDecorator:
    """The test, for every subject of these forms."""
    named = [pytest.param(each, id=f"{each.label} {each.form}") for each in SUBJECTS if each.form in forms]
    return pytest.mark.parametrize("subject", named)


@pytest.fixture(scope="session")
def place_graph(tmp_path_factory: pytest.TempPathFactory) -> Place:
    if reason := stand_ins.missing():
        pytest.skip(reason)
    libraries = stand_ins.compile_into(tmp_path_factory.mktemp("cuda"))
    return lambda content: place(content, libraries)


@pytest.fixture(scope="session")
def find(place_graph: Place) -> Find:
    """The placement of a subject, found once."""
    return cache(lambda subject: place_graph(subject.content()))


@in_form("as exported", "Loop")
def test_no_node_is_off_cuda_but_shape_arithmetic_and_control_flow(subject: Subject, find: Find) -> None:
    assert find(subject).strangers() == ()


@in_form("unrolled")
def test_no_node_of_the_unrolled_form_is_off_cuda_and_nothing_is_copied(subject: Subject, find: Find) -> None:
    found = find(subject)
    assert (found.off_cuda(), found.copied) == ((), ())


@in_form("unrolled")
def test_the_unrolled_form_has_no_control_flow(subject: Subject, find: Find) -> None:
    assert {node.operator for node in find(subject).nodes} & {"Loop", "If", "Scan"} == set()


def test_every_graph_that_ships_is_among_them() -> None:
    asked = {subject.label for subject in SUBJECTS if subject.form == "as exported"}
    assert len(asked) == len(list(MODELS.rglob("*.onnx"))) > 0


def test_the_page_for_gpus_has_what_was_found(find: Find) -> None:
    rows = [row(subject, find(subject)) for subject in SUBJECTS]
    told = PAGE.read_text("utf-8")
    assert [row for row in rows if row not in told.splitlines()] == [], f"{PAGE.name} says how to print the rows"
    assert f"onnxruntime-gpu {ort.__version__}" in told


def test_a_dynamically_quantised_graph_is_found_off_cuda(place_graph: Place) -> None:
    found = place_graph(dynamically_quantised())
    assert {node.operator for node in found.strangers()} == {"DynamicQuantizeLinear", "MatMulInteger"}
    assert found.copied == ("product",)


def test_dynamic_slices_leave_shape_arithmetic_on_the_cpu(place_graph: Place) -> None:
    found = place_graph(halved())
    off = {operator: list(names) for operator, names in found.by_provider()[CPU].items()}
    assert off == {"Gather": ["Gather of columns"], "Div": ["Div of half"], "Unsqueeze": ["Unsqueeze of end"]}
    assert found.by_provider()[CUDA]["Slice"] == ["Slice of y"]
    assert found.strangers() == ()


def test_an_operator_of_shapes_that_touches_data_off_cuda_is_a_stranger(place_graph: Place) -> None:
    found = place_graph(product_of_tokens())
    assert found.strangers() == (Node(CPU, "ReduceProd", "ReduceProd of product"),)


def test_a_graph_that_cannot_be_loaded_is_an_error_with_the_reason(place_graph: Place) -> None:
    broken = onnx.load_model_from_string(halved())
    broken.graph.node[-1].op_type = "NoSuchOperator"
    with pytest.raises(RuntimeError, match="NoSuchOperator"):
        place_graph(broken.SerializeToString())


def dynamically_quantised() -> bytes:
    """A product of weights in int8 and an input whose scale is found at run time."""
    nodes = [
        helper.make_node("DynamicQuantizeLinear", ["x"], ["quantised", "scale", "zero"]),
        helper.make_node("MatMulInteger", ["quantised", "weights", "zero"], ["product"]),
        helper.make_node("Cast", ["product"], ["y"], to=TensorProto.FLOAT),
    ]
    return _graph(nodes, graphs.floats("x", 4), graphs.floats("y", 4), weights=np.ones((4, 4), np.uint8))


def halved() -> bytes:
    """The first half of a row, by a size that is taken from the input."""
    nodes = [
        helper.make_node("Shape", ["x"], ["shape"]),
        helper.make_node("Gather", ["shape", "last"], ["columns"], axis=0),
        helper.make_node("Div", ["columns", "two"], ["half"]),
        helper.make_node("Unsqueeze", ["half", "first"], ["end"]),
        helper.make_node("Slice", ["x", "first", "end", "axis"], ["y"]),
    ]
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", name]) for name in "xy")
    numbers = {"last": np.array(1), "two": np.array(2), "first": np.array([0]), "axis": np.array([1])}
    return _graph(nodes, x, y, **numbers)


def product_of_tokens() -> bytes:
    """A product that CUDA has no kernel for, of numbers that are no shape."""
    nodes = [
        helper.make_node("Tanh", ["x"], ["bent"]),
        helper.make_node("Cast", ["bent"], ["whole"], to=TensorProto.INT64),
        helper.make_node("ReduceProd", ["whole", "axis"], ["product"], keepdims=1),
        helper.make_node("Cast", ["product"], ["y"], to=TensorProto.FLOAT),
    ]
    return _graph(nodes, graphs.floats("x", 4), graphs.floats("y", 1), axis=np.array([1]))


def _graph(nodes: list[onnx.NodeProto], x: graphs.Value, y: graphs.Value, **weights: np.ndarray) -> bytes:
    return bytes(graphs.model(nodes, [x], [y], weights).SerializeToString())

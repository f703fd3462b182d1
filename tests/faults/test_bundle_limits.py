"""A graph that asks for too much, is made of what no server need know, or never ends is refused before it is loaded."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from rhapsode.v1.bundle_pb2 import Axis, Bundle
from rhapsode_server.repository import asked_sizes, graph, limits, onnx_parts, operators, stored
from rhapsode_server.repository import bundle as bundles
from support.breaking import check_line, edit, edit_graph, manifest, refusal
from support.bundles import grey_generator
from support.hostile_graphs import Change, body, field, loop, nested, node, small, weight, whole

FILE = "decode.onnx"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return grey_generator().write(tmp_path / "models")


STORED: list[tuple[str, TensorProto]] = [
    ("strings", helper.make_tensor("words", TensorProto.STRING, [1], ["x"])),  # type: ignore[list-item]
    ("strings", small(kind=TensorProto.COMPLEX64, dims=(1,))),
    ("strings", small(kind=TensorProto.UNDEFINED)),
    ("strings", small(kind=10_000)),
    ("negative", small(dims=(-1, -1))),
    ("would take", small(dims=(2**40,))),
    ("would take", small(dims=(2**62, 2**62))),
    ("would take", small(dims=(limits.TENSOR_BYTES // 4 + 1,))),
    ("has 100000 axes", small(dims=(2**62,) * 100_000)),
    ("has 4 where its shape needs 0", small(dims=(2**62, 0))),
    ("has 4 where its shape needs 8", small(dims=(2,))),
    ("has 0 where its shape needs 1", TensorProto(name="none", data_type=TensorProto.FLOAT, dims=[1])),
    ("has 2 where its shape needs 1", TensorProto(data_type=TensorProto.FLOAT, dims=[1], float_data=[1, 2])),
    ("keeps its numbers in raw_data and float_data", TensorProto(data_type=1, float_data=[1], raw_data=b"1234")),
    ("keeps its numbers in int64_data", TensorProto(data_type=TensorProto.FLOAT, int64_data=[1])),
]


@pytest.mark.parametrize(("told", "tensor"), STORED, ids=lambda value: str(value)[:20].replace("\n", " "))
def test_a_stored_tensor_is_what_its_shape_says(folder: Path, told: str, tensor: TensorProto) -> None:
    edit_graph(folder, FILE, weight(tensor))
    check_line(refusal(folder), folder, "G9", told)


def test_a_sparse_tensor_of_a_terabyte_is_not_made_dense(folder: Path) -> None:
    sparse = onnx.SparseTensorProto(values=small("values"), indices=whole("indices", 0), dims=[2**40])
    edit_graph(folder, FILE, lambda model: model.graph.sparse_initializer.append(sparse))
    check_line(refusal(folder), folder, "G9", "sparse")


@pytest.mark.parametrize(
    "tensor",
    [
        numpy_helper.from_array(np.zeros((0, 3), np.float32), "empty"),
        numpy_helper.from_array(np.array(1.5, np.float16), "scalar"),
        helper.make_tensor("halves", TensorProto.FLOAT16, [2], [1.0, 2.0]),
        helper.make_tensor("truths", TensorProto.BOOL, [2], [True, False]),
        helper.make_tensor("nibbles", TensorProto.UINT4, [3], b"\x21\x03", raw=True),
    ],
    ids=lambda tensor: tensor.name,
)
def test_honest_tensors_of_every_store_pass(tensor: TensorProto) -> None:
    model = ModelProto()
    model.graph.initializer.append(tensor)
    assert list(stored.check(model, FILE)) == []


LARGE: dict[str, Change] = {
    "ConstantOfShape": node("ConstantOfShape", ["sizes"], whole("sizes", 2**40)),
    "Expand": node("Expand", ["small", "sizes"], small(), whole("sizes", 2**20, 2**20)),
    "Tile": node("Tile", ["small", "sizes"], small(), whole("sizes", 2**40)),
    "Pad": node("Pad", ["small", "sizes"], small(), whole("sizes", 0, 2**40)),
    "OneHot": node(
        "OneHot",
        ["where", "size", "off"],
        whole("where", 1),
        whole("size", 2**40),
        numpy_helper.from_array(np.zeros(2, np.float32), "off"),
    ),
}


@pytest.mark.parametrize("change", LARGE.values(), ids=LARGE)
def test_a_hundred_bytes_that_ask_for_terabytes_are_refused(folder: Path, change: Change) -> None:
    edit_graph(folder, FILE, change)
    check_line(refusal(folder), folder, "G10", "for one row")


def asking(operator: str, place: int, *, cut: bool = False) -> onnx.GraphProto:
    """The operator with a size that is cast from the latent, or from the latent's shape."""
    inputs = ["small"] * place + ["size"]
    source = [helper.make_node("Shape", ["latent"], ["shape"])] if cut else []
    cast = helper.make_node("Cast", ["shape" if cut else "latent"], ["size"], to=TensorProto.INT64)
    nodes = [*source, cast, helper.make_node(operator, inputs, ["made"], name="bad")]
    return helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("latent", TensorProto.FLOAT, [2])], [], [small()]
    )


@pytest.mark.parametrize(
    ("operator", "place"), [("ConstantOfShape", 0), ("Expand", 1), ("Tile", 1), ("Range", 1), ("Pad", 1), ("OneHot", 1)]
)
def test_no_row_says_how_large_a_value_is(operator: str, place: int) -> None:
    (problem,) = asked_sizes.check(helper.make_model(asking(operator, place)), FILE)
    assert str(problem).startswith(
        f"decode.onnx: node 'bad': {operator} makes something as large as the numbers of a row"
    )
    assert not list(asked_sizes.check(helper.make_model(asking(operator, place, cut=True)), FILE))


def test_a_body_sees_what_follows_from_a_row_around_it() -> None:
    inner = helper.make_node("Range", ["zero", "size", "one"], ["made"])
    graph = asking("Identity", 0)
    graph.node.append(helper.make_node("Loop", ["steps", ""], [], body=body([inner])))
    assert [problem.rule for problem in asked_sizes.check(helper.make_model(graph), FILE)] == ["G10"]


def test_a_graph_has_not_more_nodes_than_it_may(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "NODES", 2)
    message = refusal(folder)
    check_line(message, folder, "G10", "nodes, the most is 2")
    check_line(message, folder, "G10", "tensors, the most is 2")


def test_a_manifest_declares_not_more_tensors_than_it_may(folder: Path) -> None:
    many = limits.DECLARED + 1
    edit(folder, lambda bundle: bundle.graphs[0].inputs.extend([bundle.graphs[0].inputs[0]] * many))
    check_line(refusal(folder), folder, "G10", "declares more than 1024")


def test_no_product_of_sizes_is_too_long_to_be_computed(folder: Path) -> None:
    axes = [Axis(size=2**31)] * 50_000
    edit(folder, lambda bundle: bundle.graphs[0].inputs[0].shape.extend(axes))
    check_line(refusal(folder), folder, "G10", "more than 16 axes")


def test_a_list_without_end_is_not_gone_through(folder: Path) -> None:
    """Entries that are each looked for among all others take minutes, where there are a hundred thousand."""
    edit(folder, lambda bundle: bundle.files.extend([bundle.files[0]] * 10_000))
    check_line(refusal(folder), folder, "F6", "files, the most is 64")


def test_a_bundle_is_not_larger_than_memory(folder: Path) -> None:
    def grow(bundle: Bundle) -> None:
        for entry in bundle.files:
            entry.size = limits.FILE_BYTES

    edit(folder, grow)
    check_line(refusal(folder), folder, "F6", "bytes in all")


def test_a_size_that_is_a_lie_takes_no_memory(folder: Path) -> None:
    edit(folder, lambda bundle: setattr(bundle.files[0], "size", limits.FILE_BYTES))
    check_line(refusal(folder), folder, "F5", f"bundle.json says {limits.FILE_BYTES}")


@pytest.mark.parametrize("depth", [limits.GRAPH_DEPTH, 30])
def test_graphs_are_not_nested_without_end(folder: Path, depth: int) -> None:
    edit_graph(folder, FILE, nested(depth))
    check_line(refusal(folder), folder, "G10", f"graphs inside graphs {depth + 1} deep")


@pytest.mark.parametrize("depth", [100, 2000])
def test_what_would_exhaust_a_stack_is_no_model_at_all(folder: Path, depth: int) -> None:
    """The parser of protobuf ends at a hundred messages; so the bytes are written by hand."""
    inner = b""
    for _ in range(depth):  # GraphProto.node = 1, NodeProto.attribute = 5, AttributeProto.g = 6
        inner = field(1, field(5, field(6, inner)))
    (declared,) = (part for part in manifest(folder).graphs if part.file == FILE)
    problems = list(graph.check(field(7, inner), declared))
    assert [problem.rule for problem in problems] == ["G1"]


OPERATORS: list[tuple[str, str]] = [
    ("com.microsoft", "EPContext"),
    ("com.microsoft", "Snpe"),
    ("com.microsoft", "BeamSearch"),
    ("com.microsoft", "Tokenizer"),
    ("com.microsoft", "no\nsuch"),
    ("ai.onnx.ml", "TreeEnsemble"),
    ("ai.onnx.training", "Adam"),
    ("com.microsoft.nchwc", "Conv"),
    ("pyop", "PyOp"),
]


@pytest.mark.parametrize(("domain", "operator"), OPERATORS)
def test_operators_that_are_no_layers_are_refused(folder: Path, domain: str, operator: str) -> None:
    edit_graph(folder, FILE, node(operator, ["latent"], domain=domain))
    message = refusal(folder)
    check_line(message, folder, "G3", domain)
    assert "\n\n" not in message
    assert len(message.splitlines()) <= 2


def test_operators_inside_a_body_are_looked_at_too(folder: Path) -> None:
    hidden = helper.make_node("EPContext", ["latent"], ["x"], domain="com.microsoft", ep_cache_context="/etc/passwd")
    edit_graph(folder, FILE, loop([whole("steps", 1)], [hidden]))
    check_line(refusal(folder), folder, "G3", "EPContext")


def test_every_layer_is_one_that_onnx_runtime_knows() -> None:
    model = helper.make_model(helper.make_graph([], "g", [], []))
    del model.graph.node[:]
    for name in sorted(operators.LAYERS):
        model.graph.node.append(helper.make_node(name, [], ["x"], domain=operators.CONTRIBUTED))
    assert list(operators.check(model, FILE)) == []


LOOPS: list[tuple[str, Change]] = [
    ("stored number of steps", loop([])),
    ("stored number of steps", loop([whole("steps", 2**62)])),
    ("stored number of steps", loop([whole("steps", limits.LOOP_STEPS + 1)])),
    ("stored number of steps", loop([whole("steps", -1)])),
    ("stored number of steps", loop([whole("steps", 1, 2)])),
    ("stored number of steps", loop([small("steps")])),
    (
        "Loop stands inside a loop",
        loop([whole("steps", 5)], [helper.make_node("Loop", ["steps", ""], [], body=body([]))]),
    ),
    ("Scan stands inside a loop", loop([whole("steps", 5)], [helper.make_node("Scan", [], ["x"], body=body([]))])),
]


@pytest.mark.parametrize(("told", "change"), LOOPS)
def test_a_graph_ends(folder: Path, told: str, change: Change) -> None:
    edit_graph(folder, FILE, change)
    check_line(refusal(folder), folder, "G11", told)


def test_a_loop_that_ends_is_served(folder: Path) -> None:
    edit_graph(folder, FILE, loop([whole("steps", limits.LOOP_STEPS)]))
    assert bundles.read(folder)


def test_a_loop_may_count_to_what_is_stored_around_it() -> None:
    steps = helper.make_node("Constant", [], ["steps"], value=whole("", 3))
    model = helper.make_model(
        helper.make_graph([steps, helper.make_node("Loop", ["steps", ""], [], body=body([]))], "g", [], [])
    )
    assert list(operators.check(model, FILE)) == []
    assert [scope.depth for scope in onnx_parts.scopes(model.graph)] == [0, 1]


@pytest.mark.parametrize("operator", ["Optional", "RegexFullMatch", "CenterCropPad", "SequenceEmpty", "ImageDecoder"])
def test_operators_of_the_standard_that_compute_no_layer_are_refused(folder: Path, operator: str) -> None:
    """ONNX's shape inference ended the process by SIGSEGV where the first three stood in a wrong place."""
    bad = helper.make_node(operator, ["latent"], ["made"], name="bad")
    edit_graph(folder, FILE, lambda model: model.graph.node.append(bad))
    check_line(refusal(folder), folder, "G3", f"{operator}, which computes no layer")


def test_a_node_gives_as_many_parts_as_it_says(folder: Path) -> None:
    """Split into 2³¹ parts took all memory in ONNX's shape inference."""
    bad = helper.make_node("Split", ["latent"], ["made"], name="bad", num_outputs=2**31)
    edit_graph(folder, FILE, lambda model: model.graph.node.append(bad))
    check_line(refusal(folder), folder, "G12", "num_outputs must be the number")


AXES: list[tuple[str, str, object]] = [
    ("GatherND", "batch_dims", -1_000_000),  # ended the process: SIGSEGV in onnx.shape_inference
    ("GatherND", "batch_dims", -1),
    ("Gather", "axis", limits.AXES + 1),
    ("Transpose", "perm", [0, -(2**63)]),
    ("Scan", "scan_input_axes", [2**63 - 1]),
]


@pytest.mark.parametrize(("operator", "name", "value"), AXES)
def test_no_attribute_names_an_axis_that_no_tensor_has(folder: Path, operator: str, name: str, value: object) -> None:
    bad = helper.make_node(operator, ["latent", "latent"], ["made"], name="bad", **{name: value})  # type: ignore[arg-type]
    edit_graph(folder, FILE, lambda model: model.graph.node.append(bad))
    check_line(refusal(folder), folder, "G12", f"{name} must be in")

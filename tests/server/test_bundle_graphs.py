"""Every rule that docs/bundle.md gives for graphs and goldens is broken here, and the server says which."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper
from safetensors import numpy as safetensors

from rhapsode.v1 import bundle_pb2
from rhapsode.v1.bundle_pb2 import Bundle
from rhapsode_server.errors import BundleError
from rhapsode_server.repository import bundle as bundles
from rhapsode_server.repository import contract, limits
from support import graphs
from support.breaking import edit, edit_graph, write
from support.bundles import Draft, autoencoder, class_generator, stepper, transformer

Break = Callable[[Path], object]
Arrays = dict[str, NDArray[Any]]


def said(change: Callable[[Bundle], object]) -> Break:
    return lambda folder: edit(folder, change)


def graph(change: Callable[[onnx.ModelProto], object], file: str = "step.onnx") -> Break:
    return lambda folder: edit_graph(folder, file, change)


def golden(change: Callable[[Arrays], object]) -> Break:
    def rewrite(folder: Path) -> None:
        arrays = safetensors.load_file(folder / "goldens.safetensors")
        change(arrays)
        write(folder, "goldens.safetensors", safetensors.save(arrays))

    return rewrite


def node(operator: str, inputs: list[str], **attributes: Any) -> Break:
    made = helper.make_node(operator, inputs, ["unused"], name="bad", **attributes)
    return graph(lambda model: model.graph.node.append(made))


def outside(tensor: TensorProto) -> TensorProto:
    """The same tensor with its data in another file."""
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")
    return tensor


def small(name: str) -> TensorProto:
    return helper.make_tensor(name, TensorProto.FLOAT, [1], np.ones(1, np.float32).tobytes(), raw=True)


def in_a_branch(model: onnx.ModelProto) -> None:
    output = helper.make_tensor_value_info("inner", TensorProto.FLOAT, [1])
    body = helper.make_graph([], "branch", [], [output], [outside(small("inner"))])
    model.graph.node.append(helper.make_node("If", ["flag"], ["unused"], then_branch=body, else_branch=body))


def in_a_sparse_weight(model: onnx.ModelProto) -> None:
    indices = helper.make_tensor("where", TensorProto.INT64, [1], [0])
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(outside(small("sparse")), indices, [1]))


def with_function(model: onnx.ModelProto) -> None:
    opset = [helper.make_opsetid("", 21)]
    body = [helper.make_node("Identity", ["a"], ["b"])]
    model.functions.append(helper.make_function("local", "same", ["a"], ["b"], body, opset))


def fixed_batch(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 33


def table(*numbers: float, kind: int = TensorProto.INT64) -> Break:
    """A table that says of itself that it is sorted."""
    return graph(
        lambda model: model.graph.initializer.append(helper.make_tensor("keys.sorted", kind, [len(numbers)], numbers))
    )


def axis_of_state(size: int | str) -> Callable[[Bundle], object]:
    axis = bundle_pb2.Axis(name=size) if isinstance(size, str) else bundle_pb2.Axis(size=size)
    return lambda bundle: bundle.graphs[0].inputs[1].shape[1].CopyFrom(axis)


def state(position: int, **fields: object) -> Break:
    def change(bundle: Bundle) -> None:
        for name, value in fields.items():
            setattr(bundle.graphs[0].states[position], name, value)

    return said(change)


GRAPHS: list[tuple[str, str, Break]] = [
    ("G1", "step.onnx: is not an ONNX model", lambda folder: write(folder, "step.onnx", b"garbage")),
    ("G1", "step.onnx: has no graph", lambda folder: write(folder, "step.onnx", b"")),
    ("G1", "is not valid ONNX", node("Tanh", ["nowhere"])),
    ("G1", "is not valid ONNX", node("NoSuchOperator", ["token"])),
    ("G2", "tensor 'embedding'", graph(lambda model: outside(model.graph.initializer[0]))),
    ("G2", "tensor 'value'", node("Constant", [], value=outside(small("value")))),
    ("G2", "tensor 'inner'", graph(in_a_branch)),
    ("G2", "tensor 'sparse'", graph(in_a_sparse_weight)),
    ("G3", "the domain 'evil'", graph(lambda model: model.opset_import.append(helper.make_opsetid("evil", 1)))),
    ("G3", "the domain 'evil'", node("Tanh", ["logits"], domain="evil")),
    ("G3", "the function 'same'", graph(with_function)),
    ("G4", "RandomNormal draws noise", node("RandomNormal", [], shape=[1])),
    ("G4", "Multinomial draws noise", node("Multinomial", ["logits"])),
    ("G4", "Dropout draws noise", node("Dropout", ["logits", "ratio", "training"])),
    ("G4", "BatchNormalization draws noise", node("BatchNormalization", ["logits"] * 5, training_mode=1)),
    ("G5", "'token': is missing in bundle.json", said(lambda b: setattr(b.graphs[0].inputs[0], "name", "id"))),
    ("G5", "'id': is in bundle.json", said(lambda b: setattr(b.graphs[0].inputs[0], "name", "id"))),
    ("G5", "'token': is float32 [batch]", said(lambda b: setattr(b.graphs[0].inputs[0], "dtype", 1))),
    ("G5", "'token': is an unknown type", said(lambda b: b.graphs[0].inputs[0].ClearField("dtype"))),
    ("G5", "'token': is more than once", said(lambda b: b.graphs[0].inputs.append(b.graphs[0].inputs[0]))),
    ("G5", "the role asks for float32 [batch, 31]", said(lambda b: b.sequence.vocabulary.tokens.append("A"))),
    ("G5", "'eta_out'", said(lambda b: b.graphs[0].outputs.pop())),
    ("G5", "'zeta_out': is float32 [batch, ?]", said(lambda b: b.graphs[0].outputs[1].shape[1].Clear())),
    ("G6", "the graph; bundle.json declares int64 [batch]", graph(fixed_batch)),
    ("G6", "'eta_out': is missing in the graph", graph(lambda model: model.graph.output.pop())),
    ("G6", "'x': is in the graph", graph(lambda model: model.graph.output.append(graphs.floats("x", 16)))),
    ("G6", "'beta_in'", graph(lambda model: setattr(model.graph.input[2].type.tensor_type, "elem_type", 10))),
    ("G7", "'alpha_in' cannot be a state, or stands in two pairs", state(1, input="alpha_in")),
    ("G7", "'eta_out' cannot be a state, or stands in two pairs", state(0, output="eta_out")),
    ("G7", "'token' cannot be a state", state(0, input="token")),
    ("G7", "'nowhere' is not an input", state(0, input="nowhere")),
    ("G7", "cannot begin as inf", state(0, initial_value=float("inf"))),
    ("G7", "cannot begin as 1e+40", state(0, initial_value=1e40)),
    ("G7", "a state is [batch, sizes…]", said(axis_of_state("length"))),
    ("G7", "numbers a row, the most is", said(axis_of_state(limits.STATE_NUMBERS))),
    ("G8", "'keys.sorted': does not ascend", table(1, 3, 2)),
    ("G8", "'keys.sorted': does not ascend", table(-(2**63), 2**63 - 1, 2**63 - 1)),
    ("G8", "'keys.sorted': is no int64", table(1.0, 2.0, kind=TensorProto.FLOAT)),
    ("G7", "'alpha_in' has no type", said(lambda b: b.graphs[0].inputs[1].ClearField("dtype"))),
]
GOLDENS: list[tuple[str, str, Break]] = [
    ("V1", "goldens.safetensors: is not listed", lambda folder: (folder / "goldens.safetensors").unlink()),
    ("V1", "is not a safetensors file", lambda folder: write(folder, "goldens.safetensors", b"garbage")),
    ("V1", "'step.outputs.logits': is missing", golden(lambda a: a.pop("step.outputs.logits"))),
    ("V1", "'other': belongs to no tensor", golden(lambda a: a.update(other=np.zeros(1)))),
    ("V1", "float32 [32, 30]", golden(lambda a: a.update({"step.outputs.logits": a["step.outputs.logits"][1:]}))),
    ("V1", "is int32 [33]", golden(lambda a: a.update({"step.inputs.token": a["step.inputs.token"].astype("i4")}))),
    ("V1", "not finite", golden(lambda a: np.put(a["step.outputs.logits"], 0, np.nan))),
    ("V1", "numbers outside [0, 30)", golden(lambda a: np.put(a["step.inputs.token"], 0, 30))),
    ("V1", "numbers outside [0, 30)", golden(lambda a: np.put(a["step.inputs.token"], 0, -1))),
]


def refusal(folder: Path) -> str:
    with pytest.raises(BundleError) as caught:
        bundles.read(folder)
    return caught.value.message


def check_line(message: str, rule: str, told: str) -> None:
    lines = [line for line in message.splitlines() if line.endswith(f"(docs/bundle.md, {rule})")]
    assert any(told in line for line in lines), message


def seal_anew(folder: Path) -> None:
    write(folder, "card.md", b"")


@pytest.mark.parametrize(("rule", "told", "change"), GRAPHS + GOLDENS, ids=lambda value: str(value)[:24])
def test_a_broken_text_model_is_refused(tmp_path: Path, rule: str, told: str, change: Break) -> None:
    folder = stepper().write(tmp_path)
    change(folder)
    if not (folder / "goldens.safetensors").exists():
        seal_anew(folder)
    check_line(refusal(folder), rule, told)


@pytest.mark.parametrize(
    ("draft", "rule", "told", "change"),
    [
        (autoencoder(), "G7", "only a step graph has states", said(lambda b: b.graphs[0].states.add(input="latent"))),
        (
            transformer(),
            "G5",
            "'transformed': is missing",
            said(lambda b: setattr(b.graphs[0].outputs[0], "name", "x")),
        ),
        (transformer(), "G5", "asks for float32 [batch, 1, 8, 8]", said(lambda b: setattr(b.image, "channels", 1))),
        (autoencoder(), "G5", "asks for float32 [batch, 9]", said(lambda b: setattr(b.latent, "size", 9))),
        (autoencoder(), "G5", "asks for float32 [batch, 3, 8, 9]", said(lambda b: setattr(b.image, "width", 9))),
        (autoencoder(), "G5", "'class_id': is missing", said(lambda b: b.classes.append("cat"))),
        (class_generator(), "G5", "asks for no such tensor", said(lambda b: b.ClearField("classes"))),
        (class_generator(), "V1", "outside [0, 3)", golden(lambda a: np.put(a["decode.inputs.class_id"], 5, 3))),
    ],
    ids=lambda value: str(value)[:24],
)
def test_a_broken_picture_model_is_refused(tmp_path: Path, draft: Draft, rule: str, told: str, change: Break) -> None:
    folder = draft.write(tmp_path)
    change(folder)
    check_line(refusal(folder), rule, told)


def test_a_table_that_ascends_may_stand_there(tmp_path: Path) -> None:
    folder = stepper().write(tmp_path)
    table(-(2**63), 0, 2**63 - 1)(folder)
    assert bundles.read(folder)


@pytest.mark.parametrize("initial", [0.0, -2.5, 3e38])
def test_a_float_state_may_begin_as_any_float(tmp_path: Path, initial: float) -> None:
    folder = stepper().write(tmp_path)
    edit(folder, lambda b: setattr(b.graphs[0].states[0], "initial_value", initial))
    assert bundles.read(folder).bundle.graphs[0].states[0].initial_value == initial


@pytest.mark.parametrize(
    ("dtype", "initial", "fits"),
    [
        ("i4", 5.0, True),
        ("i4", 5.5, False),
        ("i4", 2.0**31, False),
        ("i8", 2.0**63, False),
        ("u1", 255.0, True),
        ("u1", -1.0, False),
        ("?", 1.0, True),
        ("?", 2.0, False),
        ("f2", 1e5, False),
        ("f4", float("nan"), False),
        ("i4", float("inf"), False),
    ],
)
def test_a_state_begins_as_its_type_can_hold(dtype: str, initial: float, fits: bool) -> None:
    assert contract.fits(initial, np.dtype(dtype)) is fits


@pytest.mark.parametrize("cut", range(1, 24))
def test_a_truncated_graph_is_refused(tmp_path: Path, cut: int) -> None:
    folder = stepper().write(tmp_path)
    content = (folder / "step.onnx").read_bytes()
    write(folder, "step.onnx", content[: len(content) * cut // 24])
    assert "docs/bundle.md, G" in refusal(folder)

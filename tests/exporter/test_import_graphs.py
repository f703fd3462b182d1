"""A graph that does not fit the contract is refused, with its tensor, the rule, and what to do."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper, numpy_helper

from rhapsode_exporter.errors import ImportRefusedError
from rhapsode_exporter.importer.importing import read_model
from support import foreign
from support.import_refusals import assert_line, refused


def replace(model: ModelProto, place: int, *nodes: onnx.NodeProto) -> ModelProto:
    """The model with other nodes in the place of one."""
    kept = [*model.graph.node[:place], *nodes, *model.graph.node[place + 1 :]]
    del model.graph.node[:]
    model.graph.node.extend(kept)
    return model


def random_text() -> ModelProto:
    noise = helper.make_node("RandomNormalLike", ["sum"], ["noise"])
    return replace(foreign.recurrent(), 4, noise, foreign.node("Add", "sum noise", "a_memory"))


def random_branch() -> ModelProto:
    """The random operator hides in a branch."""
    draw = helper.make_graph([foreign.node("Bernoulli", "sum", "drawn")], "b", [], [foreign.value("drawn", [None] * 3)])
    made = foreign.recurrent()
    made.graph.initializer.append(numpy_helper.from_array(np.array(True), "always"))
    choose = helper.make_node("If", ["always"], ["a_memory"], then_branch=draw, else_branch=draw)
    return replace(made, 4, choose)


def training_mode() -> ModelProto:
    made = foreign.recurrent()
    made.graph.initializer.append(numpy_helper.from_array(np.array(0.5, np.float32), "half"))
    made.graph.initializer.append(numpy_helper.from_array(np.array(True), "training"))
    return replace(made, 4, foreign.node("Dropout", "sum half training", "a_memory"))


def text_with(operator: str, domain: str = "") -> ModelProto:
    """The state's Tanh is another operator."""
    return replace(foreign.recurrent(), 4, helper.make_node(operator, ["sum"], ["a_memory"], domain=domain))


def pass_through() -> ModelProto:
    """The next state stands among the outputs under the name of the input."""
    made = foreign.recurrent()
    made.graph.output[2].name = "ticks"
    return made


def wide_state() -> ModelProto:
    """The declared shape of a next state is open, and the one that comes has an axis more."""
    made = foreign.recurrent()
    made.graph.output[2].CopyFrom(foreign.value("b_ticks", [None, None, None], TensorProto.INT64))
    made.graph.initializer.append(numpy_helper.from_array(np.array([-1, 1, 1]), "longer"))
    made.graph.node[5].output[0] = "more"
    made.graph.node.append(foreign.node("Reshape", "more longer", "b_ticks"))
    return made


def unread_state() -> ModelProto:
    """As torch.export makes it of two states whose example is one tensor."""
    made = foreign.recurrent()
    made.graph.initializer.append(numpy_helper.from_array(np.array([-1, 1]), "column"))
    return replace(made, 5, foreign.node("Reshape", "ids column", "b_ticks"))


def unbatched() -> ModelProto:
    """Scores are those of all rows together."""
    made = foreign.recurrent()
    mean = helper.make_node("ReduceSum", ["shaped"], ["scores"], keepdims=1)
    return replace(made, 9, mean)


def attention(axis: int) -> ModelProto:
    """A softmax over the batch or, with axis -1, over the vocabulary."""
    return replace(foreign.recurrent(), 9, helper.make_node("Softmax", ["shaped"], ["scores"], axis=axis))


TEXT_GRAPHS = [
    (random_text, "rnn.onnx", "G4", "RandomNormalLike"),
    (random_branch, "rnn.onnx", "G4", "Bernoulli"),
    (training_mode, "rnn.onnx", "G4", "Dropout in training mode"),
    (lambda: text_with("Nonsense"), "rnn.onnx", "G1", "Nonsense"),
    (lambda: text_with("Tanh", "team"), "rnn.onnx", "G3", "'team' (Tanh)"),
    (lambda: text_with("Log"), "rnn.onnx: output 'a_memory'", "V1", "not finite in"),
    (lambda: text_with("Size"), "rnn.onnx", "V2", "ONNX Runtime cannot run it"),
    (lambda: foreign.recurrent(version=5), "rnn.onnx", "G1", "has opset 5"),
    (lambda: foreign.recurrent(batch=4), "rnn.onnx: input 'memory'", "G6", "its batch does not vary"),
    (lambda: foreign.recurrent([None, None]), "rnn.onnx: input 'ids'", "G6", "have no name"),
    (lambda: foreign.recurrent(["N", "N"]), "rnn.onnx: input 'ids'", "G6", "two of its axes"),
    (lambda: foreign.recurrent(["N", 2]), "rnn.onnx: input 'ids'", "G5", "cannot take the token"),
    (lambda: foreign.recurrent(token_type=TensorProto.FLOAT), "rnn.onnx: input 'ids'", "G5", "cannot take the token"),
    (lambda: foreign.recurrent(scores_type=TensorProto.INT64), "rnn.onnx: output 'scores'", "G5", "be the logits"),
    (lambda: foreign.recurrent(scores=(-1, 2, 4)), "rnn.onnx: output 'scores'", "G5", "[batch, 2, 4]"),
    (lambda: attention(-1), "rnn.onnx: logits", "G5", "are probabilities"),
    (lambda: attention(0), "rnn.onnx: output 'logits'", "V3", "in a batch of 1"),
    (pass_through, "graphs.step", "G7", "'ticks' stands in two places"),
    (wide_state, "graphs.step.states[1]", "G7", "int64 [batch, 1, 1]"),
    (unread_state, "rnn.onnx: input 'ticks'", "G7", "nothing in the graph reads it"),
    (unbatched, "rnn.onnx: output 'scores'", "G6", "none of its axes follows"),
]


@pytest.mark.parametrize(("make", "where", "rule", "part"), TEXT_GRAPHS)
def test_a_bad_step_graph(make: Callable[[], ModelProto], where: str, rule: str, part: str, tmp_path: Path) -> None:
    description = foreign.TEXT
    if make is pass_through:
        description = description.replace("output: b_ticks", "output: ticks")
    assert_line(refused(tmp_path, description, rnn=make()), where, rule, part)


def test_states_that_cannot_be(tmp_path: Path) -> None:
    cases: list[tuple[foreign.Dims, int, str]] = [
        (["N", "T"], TensorProto.INT64, "a state has fixed sizes"),
        (["N", 1], TensorProto.DOUBLE, "its type is one of: float32, int64"),
        (["N", 2**24], TensorProto.INT64, "the most is 16777216"),
    ]
    for dims, dtype, part in cases:
        made = foreign.recurrent()
        for value in (made.graph.input[2], made.graph.output[2]):
            value.CopyFrom(foreign.value(value.name, dims, dtype))
        lines = refused(tmp_path, foreign.TEXT, rnn=made)
        assert [line for line in lines if part in line and line.endswith("(docs/bundle.md, G7)")], lines


def test_pictures_that_cannot_be(tmp_path: Path) -> None:
    lines = refused(tmp_path, foreign.PICTURES, dec=foreign.decoder(picture=(-1, 72)))
    assert_line(lines, "dec.onnx: output 'x_hat'", "G5", "float32 [batch, 72]")
    made = foreign.decoder()
    made.graph.output.append(foreign.value("wide", ["N", 72]))
    lines = refused(tmp_path, foreign.PICTURES, dec=made)
    assert_line(lines, "dec.onnx: output 'wide'", "G5", "graphs.decode.drop: [wide]")
    big = foreign.PICTURES.replace("height: 4, width: 6", "height: 4096, width: 4096")
    assert_line(refused(tmp_path, big, dec=foreign.decoder()), "goldens.safetensors", "F6", "6643778196")


def test_a_conversion_that_changes_the_pictures(tmp_path: Path) -> None:
    """The converter of the onnx package makes of a linear Upsample a Resize that samples at other places."""
    weights: dict[str, NDArray[Any]] = {
        "small": np.array([-1, 3, 2, 3], np.int64),
        "twice": np.array([1, 1, 2, 2], np.float32),
    }
    expand = np.random.Generator(np.random.PCG64(5)).standard_normal((foreign.LATENT, 18), np.float32)
    nodes = [
        foreign.node("MatMul", "z expand", "wide"),
        foreign.node("Tanh", "wide", "bounded"),
        foreign.node("Reshape", "bounded small", "low"),
        helper.make_node("Upsample", ["low", "twice"], ["x_hat"], mode="linear"),
    ]
    inputs, outputs = [foreign.value("z", ["N", foreign.LATENT])], [foreign.value("x_hat", ["N", 3, 4, 6])]
    made = foreign.model(nodes, inputs, outputs, {**weights, "expand": expand}, version=9)
    lines = refused(tmp_path, foreign.PICTURES, dec=made)
    assert_line(lines, "dec.onnx: output 'image'", "G1", "changes when its opset is converted")


def test_files_that_cannot_be_graphs(tmp_path: Path) -> None:
    described, (path,) = foreign.write(tmp_path, foreign.PICTURES, dec=foreign.decoder())
    for content, part in ((b"", "has no graph"), (b"\xff" * 99, "not an ONNX model")):
        path.write_bytes(content)
        with pytest.raises(ImportRefusedError, match=f"dec.onnx: .*{part}.*G1"):
            read_model(described, [path])
    onnx.save(foreign.decoder(), path, save_as_external_data=True, location="dec.bin", size_threshold=0)
    (tmp_path / "dec.bin").unlink()
    with pytest.raises(ImportRefusedError, match=r"dec\.onnx: keeps weights in dec\.bin, which must lie beside it.*G2"):
        read_model(described, [path])
    path.unlink()
    with pytest.raises(ImportRefusedError, match=r"dec\.onnx: cannot be read: No such file.*F2"):
        read_model(described, [path])

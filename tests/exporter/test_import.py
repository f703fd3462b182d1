"""Graphs that were exported elsewhere become bundles that compute the same and that a server loads."""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper, numpy_helper
from rich.console import Console
from safetensors.numpy import load_file
from typer.testing import CliRunner

from rhapsode.v1.bundle_pb2 import Bundle
from rhapsode_exporter.bundle.onnx_runtime import OnnxRuntime
from rhapsode_exporter.errors import BundleExistsError
from rhapsode_exporter.main import build_app
from rhapsode_server.repository.loading import LoadedModel
from support import breaking, bundles, foreign, graphs, server

ROWS = 4


def run_import(folder: Path, description: str, *flags: str, **models: ModelProto) -> str:
    """Run `rhapsode-train import` on files in `folder`, with bundles in `folder`/models; what it printed."""
    described, files = foreign.write(folder, description, **models)
    console = Console(file=io.StringIO(), width=300)
    words = ["import", "--describe", str(described), "--out", str(folder / "models"), *map(str, files), *flags]
    done = CliRunner().invoke(build_app([], console), [*words, "--no-rehearse"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def load(folder: Path, name: str) -> LoadedModel:
    """What a server loads of it."""
    return server.load(folder / "models").models.find(name)


def manifest(folder: Path, name: str, version: int = 1) -> Bundle:
    return breaking.manifest(folder / "models" / name / str(version))


@dataclass(frozen=True)
class Text:
    """How a step graph is run: its names of token and logits, the type and shape of its tokens, the shape of memory."""

    token: str
    logits: str
    dtype: type[np.signedinteger[Any]]
    tokens: tuple[int, ...]
    memory: tuple[int, ...]

    def write(self, graph: OnnxRuntime) -> NDArray[Any]:
        """The tokens that it chooses after four first ones, always the likeliest: [8, 4]."""
        states: dict[str, Any] = {"memory": np.zeros(self.memory, np.float32), "ticks": np.full((ROWS, 1), 7)}
        token, found = np.arange(ROWS), []
        for _ in range(8):
            given = graph.run({self.token: token.reshape(self.tokens).astype(self.dtype), **states})
            states = {"memory": given["a_memory"], "ticks": given["b_ticks"]}
            logits: NDArray[Any] = given[self.logits]
            token = logits.reshape(ROWS, -1).argmax(axis=1)
            found.append(token)
        assert (states["ticks"] == 15).all()
        return np.array(found)


OURS = Text("token", "logits", np.int64, (ROWS,), (ROWS, foreign.LAYERS, foreign.WIDTH))
COLUMN, ROW = (-1, 1, foreign.SIZE), (1, -1, foreign.SIZE)
TEXT_CASES = {
    "as in the contract": (foreign.recurrent(), (ROWS,)),
    "a step of a batch of sequences": (foreign.recurrent(["N", 1], COLUMN), (ROWS, 1)),
    "sequences of any length": (foreign.recurrent(["N", "T"], COLUMN), (ROWS, 1)),
    "sequences first": (foreign.recurrent([1, "N"], ROW), (1, ROWS)),
    "tokens of 32 bits": (foreign.recurrent(token_type=TensorProto.INT32), (ROWS,)),
    "scores of 64 bits": (foreign.recurrent(scores_type=TensorProto.DOUBLE), (ROWS,)),
    "an old opset": (foreign.recurrent(version=11), (ROWS,)),
    "a batch without a name": (foreign.recurrent(batch=None), (ROWS,)),
}


@pytest.mark.parametrize("case", TEXT_CASES)
def test_a_step_graph_writes_the_same_text(case: str, tmp_path: Path) -> None:
    made, tokens = TEXT_CASES[case]
    said = run_import(tmp_path, foreign.TEXT, rnn=made)
    assert "step.onnx: memory: Transpose [1, 0, 2]" in said
    assert "batch-invariant: a row" in said
    assert load(tmp_path, "foreign-text").stepper is not None
    dtype = np.int32 if "32 bits" in case else np.int64
    theirs = Text("ids", "scores", dtype, tokens, (foreign.LAYERS, ROWS, foreign.WIDTH))
    wanted = theirs.write(OnnxRuntime(tmp_path / "rnn.onnx"))
    path = tmp_path / "models" / "foreign-text" / "1" / "step.onnx"
    assert np.array_equal(OURS.write(OnnxRuntime(path)), wanted)
    assert len(np.unique(wanted)) > 2
    assert ("converted to 18" in said) == (case == "an old opset")
    assert onnx.load(path).opset_import[0].version == (18 if case == "an old opset" else 20)
    pairs = [(p.input, p.output, p.initial_value) for p in manifest(tmp_path, "foreign-text").graphs[0].states]
    assert pairs == [("memory", "a_memory", 0.0), ("ticks", "b_ticks", 7.0)]


PICTURE_CASES = {
    "as in the contract": (foreign.decoder(), 3, (5,)),
    "channels last": (foreign.decoder(picture=(-1, 4, 6, 3)), 3, (5,)),
    "a latent of one pixel": (foreign.decoder(["N", 5, 1, 1]), 3, (5, 1, 1)),
    "flat grey": (foreign.decoder(picture=(-1, 24)), 1, (5,)),
    "grey without a channel": (foreign.decoder(picture=(-1, 4, 6)), 1, (5,)),
    "an old opset": (foreign.decoder(version=9), 3, (5,)),
}


@pytest.mark.parametrize("case", PICTURE_CASES)
def test_a_decoder_draws_the_same_pictures(case: str, tmp_path: Path) -> None:
    made, channels, row = PICTURE_CASES[case]
    description = foreign.PICTURES.replace("channels: 3", f"channels: {channels}")
    run_import(tmp_path, description, dec=made)
    assert load(tmp_path, "foreign-pictures").decoder is not None
    latents = np.random.Generator(np.random.PCG64(1)).standard_normal((ROWS, 5), np.float32)
    folder = tmp_path / "models" / "foreign-pictures" / "3"
    found = OnnxRuntime(folder / "decode.onnx").run({"latent": latents})["image"]
    wanted = OnnxRuntime(tmp_path / "dec.onnx").run({"z": latents.reshape(ROWS, *row)})["x_hat"]
    if case == "channels last":
        wanted = wanted.transpose(0, 3, 1, 2)
    assert np.array_equal(found, wanted.reshape(ROWS, channels, 4, 6))
    assert (folder / "preview.png").exists()


def test_graphs_of_the_contract_need_no_names(tmp_path: Path) -> None:
    """Every role, with files named after it; the critic gives a column instead of a vector."""
    head = "version: 1\ndescription: A test.\nlicence: CC0-1.0\n"
    sizes = "latent: {size: 8, prior: normal, mean_radius: 2.5}\n"
    image = "image: {height: 8, width: 8, channels: 1, low: -1, high: 1}\n"
    critic = graphs.critic(1, seed=6)
    column = [node for node in critic.graph.node if node.op_type != "Squeeze"]
    column[-1].output[0] = "realness"
    del critic.graph.node[:], critic.graph.output[:]
    critic.graph.node.extend(column)
    critic.graph.output.append(foreign.value("realness", ["batch", 1]))
    generator = f"name: a-generator\nkind: generator\n{head}{sizes}{image}"
    said = run_import(tmp_path, generator, decode=graphs.decoder(1, seed=5), critic=critic)
    assert "critic.onnx: realness: Reshape [-1]" in said
    autoencoder = f"name: an-autoencoder\nkind: autoencoder\n{head}{sizes}{image}"
    run_import(tmp_path, autoencoder, decode=graphs.decoder(1, seed=5), encode=graphs.encoder(1, seed=6))
    classes = f"name: with-classes\nkind: generator\nclasses: [dot, bar]\n{head}{sizes}{image}"
    run_import(tmp_path, classes, decode=graphs.decoder(1, seed=5, classes=2))
    assert load(tmp_path, "a-generator").decoder is not None
    assert load(tmp_path, "an-autoencoder").encoder is not None
    assert list(load(tmp_path, "with-classes").bundle.classes) == ["dot", "bar"]
    golden = load_file(tmp_path / "models" / "with-classes" / "1" / "goldens.safetensors")
    assert set(golden["decode.inputs.class_id"].tolist()) == {0, 1}
    assert manifest(tmp_path, "a-generator").latent.mean_radius == 2.5


def test_a_step_graph_of_the_contract_stays_as_it_is(tmp_path: Path) -> None:
    description = """
name: plain
version: 1
description: A test.
licence: CC0-1.0
kind: sequence
graphs:
  step:
    tolerance: 1e-5
    states: [{input: beta_in, output: eta_out}, {input: alpha_in, output: zeta_out, initial_value: 0.25}]
sequence:
  vocabulary: {file: tokens.txt, end_token: 2, unknown_token: b}
  longest_prompt: 100
  penalties_count_prompt: true
"""
    (tmp_path / "tokens.txt").write_bytes(b"\\n\r\n \r\nb\r\n\\u00e9\\\\\n")
    made = graphs.stepper(4, seed=1)
    said = run_import(tmp_path, description, step=made)
    assert said.splitlines()[:-1] == [
        "batch-invariant: a row has the same bits in every batch and at every place of it"
    ]
    found = onnx.load(tmp_path / "models" / "plain" / "1" / "step.onnx")
    assert [node.op_type for node in found.graph.node] == [node.op_type for node in made.graph.node]
    sequence = manifest(tmp_path, "plain").sequence
    assert list(sequence.vocabulary.tokens) == ["\n", " ", "b", "é\\"]
    assert (sequence.vocabulary.end_token, sequence.vocabulary.unknown_token) == (2, 2)
    assert not sequence.vocabulary.HasField("start_token")
    assert (sequence.longest_prompt, sequence.penalties_count_prompt) == (100, True)
    assert load(tmp_path, "plain").stepper is not None


def test_weights_beside_the_file_are_pulled_in(tmp_path: Path) -> None:
    described, _ = foreign.write(tmp_path, foreign.PICTURES)
    onnx.save(
        foreign.decoder(), tmp_path / "dec.onnx", save_as_external_data=True, location="dec.bin", size_threshold=0
    )
    words = ["import", "--describe", str(described), "--out", str(tmp_path / "models"), str(tmp_path / "dec.onnx")]
    console = Console(file=io.StringIO(), width=300)
    assert CliRunner().invoke(build_app([], console), words, catch_exceptions=False).exit_code == 0
    assert isinstance(console.file, io.StringIO)
    assert "weights pulled in from dec.bin" in console.file.getvalue()
    assert load(tmp_path, "foreign-pictures").decoder is not None


def test_functions_are_inlined_and_weights_are_no_inputs(tmp_path: Path) -> None:
    made = foreign.decoder()
    body = [foreign.node("Tanh", "a", "b")]
    made.functions.append(helper.make_function("team", "Squash", ["a"], ["b"], body, [helper.make_opsetid("", 20)]))
    made.graph.node[2].op_type, made.graph.node[2].domain = "Squash", "team"
    made.opset_import.extend([helper.make_opsetid("team", 1), helper.make_opsetid("unused", 1)])
    made.graph.input.append(foreign.value("gain", []))
    said = run_import(tmp_path, foreign.PICTURES, dec=made)
    assert "decode.onnx: functions inlined" in said
    assert load(tmp_path, "foreign-pictures").decoder is not None


def test_what_has_no_place_can_be_left_out(tmp_path: Path) -> None:
    made = foreign.decoder()
    made.graph.output.append(foreign.value("features", ["N", 72]))
    made.graph.input.append(foreign.value("unread", ["N"]))
    made.graph.node.append(foreign.node("Exp", "wide", "features"))
    description = foreign.PICTURES.replace("image: x_hat}", "image: x_hat}, drop: [features, unread]")
    said = run_import(tmp_path, description, dec=made)
    assert "decode.onnx: left out: features, unread" in said
    found = onnx.load(tmp_path / "models" / "foreign-pictures" / "3" / "decode.onnx")
    assert "Exp" not in {node.op_type for node in found.graph.node}
    assert [value.name for value in found.graph.input] == ["latent"]


def test_names_of_the_contract_may_stand_for_something_else(tmp_path: Path) -> None:
    """Token and logits change places, and so do an output and a state."""
    made = foreign.recurrent()
    others = {"ids": "logits", "logits": "flat_ids", "scores": "token", "a_memory": "memory", "memory": "a_memory"}
    for node in made.graph.node:
        node.input[:] = [others.get(name, name) for name in node.input]
        node.output[:] = [others.get(name, name) for name in node.output]
    for value in (*made.graph.input, *made.graph.output):
        value.name = others.get(value.name, value.name)
    description = foreign.TEXT.replace("token: ids, logits: scores", "token: logits, logits: token")
    description = description.replace("input: memory, output: a_memory", "input: a_memory, output: memory")
    run_import(tmp_path, description, rnn=made)
    run_import(tmp_path, foreign.TEXT.replace("version: 1", "version: 2"), rnn=foreign.recurrent())
    one, two = (load_file(tmp_path / f"models/foreign-text/{n}/goldens.safetensors") for n in (1, 2))
    assert np.array_equal(one["step.outputs.logits"], two["step.outputs.logits"])
    assert np.array_equal(one["step.outputs.memory"], two["step.outputs.a_memory"])
    assert load(tmp_path, "foreign-text").stepper is not None


def test_company_that_changes_bits_is_reported(tmp_path: Path) -> None:
    """Dynamic quantisation takes one scale over the whole batch."""
    made = foreign.decoder()
    columns = np.random.Generator(np.random.PCG64(5)).integers(-9, 9, (5, 72)).astype(np.int8)
    made.graph.initializer.append(numpy_helper.from_array(columns, "bytes"))
    made.graph.initializer.append(numpy_helper.from_array(np.array(0.02, np.float32), "scale"))
    quantised = [
        made.graph.node[0],
        foreign.node("DynamicQuantizeLinear", "flat", "low step zero"),
        foreign.node("MatMulInteger", "low bytes zero", "counts"),
        helper.make_node("Cast", ["counts"], ["real"], to=TensorProto.FLOAT),
        foreign.node("Mul", "step scale", "unit"),
        foreign.node("Mul", "real unit", "wide"),
        *made.graph.node[2:],
    ]
    del made.graph.node[:]
    made.graph.node.extend(quantised)
    description = foreign.PICTURES.replace("image: x_hat}", "image: x_hat}, tolerance: 0.1")
    assert "not batch-invariant" in run_import(tmp_path, description, dec=made)
    assert not load(tmp_path, "foreign-pictures").batch_invariant


def test_a_check_writes_nothing_and_a_version_is_replaced_only_when_told(tmp_path: Path) -> None:
    made = foreign.decoder()
    assert "nothing written" in run_import(tmp_path, foreign.PICTURES, "--check", dec=made)
    assert not (tmp_path / "models").exists()
    run_import(tmp_path, foreign.PICTURES, dec=made)
    with pytest.raises(BundleExistsError, match="--overwrite"):
        run_import(tmp_path, foreign.PICTURES, dec=made)
    with pytest.raises(BundleExistsError, match="--overwrite"):  # before anything is run
        run_import(tmp_path, foreign.PICTURES, dec=foreign.decoder(gain=2.0))
    run_import(tmp_path, foreign.PICTURES, "--check", dec=made)
    run_import(tmp_path, foreign.PICTURES.replace("A test.", "Another."), "--overwrite", dec=made)
    assert manifest(tmp_path, "foreign-pictures", 3).description == "Another."


def test_the_goldens_are_what_occurs_in_use(tmp_path: Path) -> None:
    run_import(tmp_path, foreign.TEXT, rnn=foreign.recurrent())
    golden = load_file(tmp_path / "models" / "foreign-text" / "1" / "goldens.safetensors")
    assert golden["step.inputs.token"][0] == 0
    assert np.array_equal(golden["step.inputs.ticks"][:, 0], 7 + np.arange(bundles.ROWS))
    assert len(np.unique(golden["step.inputs.token"])) > 3
    assert not golden["step.inputs.memory"][0].any()
    assert golden["step.inputs.memory"][1:].all()

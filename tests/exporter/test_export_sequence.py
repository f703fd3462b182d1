"""A sequence bundle is written whole or not at all, and resuming changes nothing."""

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from google.protobuf.json_format import Parse
from rich.console import Console
from safetensors.numpy import load_file
from torch import Tensor, nn
from typer.testing import CliRunner

from rhapsode.v1.bundle_pb2 import Bundle, GraphRole, Metric, ModelKind, SequenceSpec, Training, Vocabulary
from rhapsode_exporter.bundle.draft import BundleDraft, GraphDraft, Preview
from rhapsode_exporter.bundle.onnx_runtime import OnnxRuntime
from rhapsode_exporter.bundle.write import write_bundle
from rhapsode_exporter.data.archives import sha256_of
from rhapsode_exporter.errors import BundleExistsError, ExportFailedError, ParityFailedError
from rhapsode_exporter.families.base import Order
from rhapsode_exporter.families.recurrent_text import RecurrentText
from rhapsode_exporter.families.texts import NAMES, SHAKESPEARE
from rhapsode_exporter.loops.sequence import SequenceSettings, Texts, train
from rhapsode_exporter.main import build_app
from rhapsode_exporter.networks.recurrent import CharacterNetwork, RecurrentShape
from rhapsode_exporter.run.folder import RunFolder
from rhapsode_exporter.run.interrupt import Interrupt
from rhapsode_exporter.run.stop import StopRule
from rhapsode_exporter.run.training import Outcome, TrainingRun

SETTINGS = SequenceSettings(streams=4, segment=8, warm_up=2, evaluate_every=4, fresh_share=0.2)
LINES = "To be, or not to be, that is the question:\nWhether 'tis nobler in the mind to suffer\n"


class Doubler(nn.Module):
    """A graph with one weight: logits = embedding(token)."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(5, 5)

    def forward(self, token: Tensor) -> Tensor:
        logits: Tensor = self.embedding(token)
        return logits


class Gambler(Doubler):
    """Draws random numbers inside the graph."""

    def forward(self, token: Tensor) -> Tensor:
        logits = super().forward(token)
        return logits + torch.rand_like(logits)


class Turncoat(Doubler):
    """Becomes another graph than it is in torch."""

    def forward(self, token: Tensor) -> Tensor:
        logits = super().forward(token)
        return logits + 1.0 if torch.compiler.is_exporting() else logits


def step_graph(network: nn.Module) -> GraphDraft:
    return GraphDraft(GraphRole.GRAPH_ROLE_STEP, network, {"token": torch.arange(33) % 5}, ("logits",), tolerance=1e-5)


def misnamed() -> GraphDraft:
    """A step graph whose network gives one output where two are promised."""
    return replace(step_graph(Doubler()), outputs=("logits", "h0_out"))


def draft(network: nn.Module) -> BundleDraft:
    return BundleDraft(
        name="doubler",
        kind=ModelKind.MODEL_KIND_SEQUENCE,
        description="A test.",
        licence="Apache-2.0",
        graphs=(step_graph(network),),
        training=Training(),
        metrics=(Metric(name="nothing", value=1.0),),
        preview=Preview("preview.txt", b"abc"),
        sequence=SequenceSpec(vocabulary=Vocabulary(tokens=list("abcde"), start_token=0)),
    )


@pytest.mark.parametrize(
    ("network", "error"),
    [(Gambler, ExportFailedError), (Turncoat, ParityFailedError)],
)
def test_a_bad_graph_writes_nothing(network: type[nn.Module], error: type[Exception], tmp_path: Path) -> None:
    with pytest.raises(error):
        write_bundle(draft(network()), tmp_path / "models", 1)
    assert list(tmp_path.iterdir()) == []


def test_a_version_is_replaced_only_when_told(tmp_path: Path) -> None:
    folder = write_bundle(draft(Doubler()), tmp_path, 1)
    before = sha256_of(folder / "step.onnx")
    with pytest.raises(BundleExistsError, match="--overwrite"):
        write_bundle(draft(Doubler()), tmp_path, 1)
    with pytest.raises(ExportFailedError):
        write_bundle(replace(draft(Doubler()), graphs=(misnamed(),)), tmp_path, 1, overwrite=True)
    assert sha256_of(folder / "step.onnx") == before
    write_bundle(draft(Doubler()), tmp_path, 1, overwrite=True)
    assert sha256_of(folder / "step.onnx") != before
    assert [path.name for path in folder.parent.iterdir()] == ["1"]


def test_a_bundle_that_cannot_be_replaced_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, rename = write_bundle(draft(Doubler()), tmp_path, 1), Path.rename
    before = sha256_of(folder / "step.onnx")

    def fail_for_the_new(path: Path, target: Path) -> Path:
        if path.suffix == ".part":
            raise OSError("the disk is gone")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", fail_for_the_new)
    with pytest.raises(OSError, match="the disk is gone"):
        write_bundle(draft(Doubler()), tmp_path, 1, overwrite=True)
    assert sha256_of(folder / "step.onnx") == before
    assert [path.name for path in folder.parent.iterdir()] == ["1"]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle that the command line makes of a text of one's own."""
    home = tmp_path_factory.mktemp("home")
    (home / "own.txt").write_text(LINES * 150, encoding="utf-8")
    app = build_app([RecurrentText(SHAKESPEARE)], Console(file=io.StringIO()))
    told = ["shakespeare-rnn", "--quick", "--steps", "4", "--data", f"{home}/own.txt", "--out", f"{home}/models"]
    done = CliRunner().invoke(app, [*told, "--runs", f"{home}/runs"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return home / "models" / "shakespeare-rnn" / "1"


def test_a_bundle_is_whole(exported: Path) -> None:
    bundle = Parse((exported / "bundle.json").read_text(encoding="utf-8"), Bundle())
    assert {path.name for path in exported.iterdir()} == {
        *("bundle.json", "step.onnx", "goldens.safetensors", "preview.txt", "card.md")
    }
    assert {file.path for file in bundle.files} == {path.name for path in exported.iterdir()} - {"bundle.json"}
    for file in bundle.files:
        assert (file.size, file.sha256) == ((exported / file.path).stat().st_size, sha256_of(exported / file.path))
    vocabulary = bundle.sequence.vocabulary
    assert list(vocabulary.tokens) == sorted(set(LINES))
    assert vocabulary.tokens[vocabulary.start_token] == "\n"
    assert [(pair.input, pair.output) for pair in bundle.graphs[0].states] == [
        (f"{name}_in", f"{name}_out") for name in ("h0", "h1")
    ]
    assert bundle.metrics[0].name == "held_out_nats_per_character"
    assert bundle.metrics[0].baseline > 0
    assert bundle.training.stop_detail == "all 4 steps taken"


def test_few_lines_fill_as_many_streams_as_they_can(tmp_path: Path) -> None:
    (tmp_path / "own.txt").write_text("\n".join(f"the line that is number {n:04}" for n in range(400)), "utf-8")
    many = replace(NAMES.quick.training, streams=1_000)
    family = RecurrentText(replace(NAMES, quick=replace(NAMES.quick, training=many)))
    surroundings = Console(file=io.StringIO()), Interrupt()
    draft = family.train(Order(True, 1, tmp_path, tmp_path / "runs", *surroundings, tmp_path / "own.txt", steps=1))
    assert draft is not None
    assert draft.training.settings["streams"] == "376"
    assert "of one GRU layer with 64 units." in draft.description


def test_field_names_in_the_manifest_are_those_of_the_schema(exported: Path) -> None:
    content = (exported / "bundle.json").read_text(encoding="utf-8")
    assert content.endswith("}\n")
    assert json.loads(content)["schema_version"] == 1


def test_the_goldens_are_what_the_graph_gives(exported: Path) -> None:
    goldens = load_file(exported / "goldens.safetensors")
    given = {name.removeprefix("step.inputs."): value for name, value in goldens.items() if ".inputs." in name}
    wanted = {name.removeprefix("step.outputs."): value for name, value in goldens.items() if ".outputs." in name}
    found = OnnxRuntime(exported / "step.onnx").run(given)
    assert found.keys() == wanted.keys()
    assert all(np.array_equal(found[name], wanted[name]) and len(found[name]) == 33 for name in wanted)


def test_the_graph_has_no_shape_nodes_and_no_paths(exported: Path) -> None:
    model = onnx.load(exported / "step.onnx")
    assert {node.op_type for node in model.graph.node} <= {
        *("Add", "Gather", "Gemm", "Mul", "Sigmoid", "Split", "Sub", "Tanh")
    }
    assert b"site-packages" not in (exported / "step.onnx").read_bytes()


def run_of(path: Path, interrupt: Interrupt) -> TrainingRun:
    return TrainingRun("tiny", RunFolder(path), StopRule(steps=12), 3, interrupt, Console(file=io.StringIO()))


def train_tiny(path: Path, stop_at_sample: int | None = None) -> tuple[Outcome, dict[str, Tensor]]:
    """Train a tiny network; a person interrupts when sample number `stop_at_sample` is written."""
    torch.manual_seed(3)
    network = CharacterNetwork(RecurrentShape(vocabulary=7, embedding=3, width=8), dropout=0.3)
    text = torch.arange(400) * 3 % 7
    interrupt, samples = Interrupt(), []

    def sample(_: CharacterNetwork) -> str:
        samples.append("")
        interrupt.requested = len(samples) == stop_at_sample
        return "sample"

    texts = Texts([text], [torch.cat((text[:1] * 0, text[:50]))])
    outcome = train(run_of(path, interrupt), network, texts, SETTINGS, {"tiny": "yes"}, sample)
    return outcome, network.state_dict()


@pytest.mark.parametrize("stop_at_sample", [1, 2, 3])
def test_an_interrupted_run_ends_as_an_uninterrupted_one(stop_at_sample: int, tmp_path: Path) -> None:
    whole, weights = train_tiny(tmp_path / "whole")
    first, _ = train_tiny(tmp_path / "parts", stop_at_sample)
    assert first.position.step == 4 * (stop_at_sample - 1)
    second, resumed = train_tiny(tmp_path / "parts")
    assert second.stop == whole.stop
    assert all(torch.equal(weights[name], resumed[name]) for name in weights)
    seen, again = (RunFolder(tmp_path / name).history() for name in ("whole", "parts"))
    assert [(row.step, row.values) for row in again] == [(row.step, row.values) for row in seen]
    assert sorted(path.name for path in (tmp_path / "parts" / "sheets").iterdir()) == [
        f"step-{step:06}.txt" for step in (0, 4, 8, 12)
    ]

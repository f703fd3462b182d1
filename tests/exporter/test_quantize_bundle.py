"""A bundle's quantised variant is a whole bundle of its own, measured beside its source, or nothing at all."""

import io
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from google.protobuf.json_format import Parse
from rich.console import Console
from safetensors.numpy import load_file
from torch import nn
from typer.testing import CliRunner

from rhapsode.v1.bundle_pb2 import (
    Bundle,
    DataSet,
    GraphRole,
    Metric,
    ModelKind,
    SequenceSpec,
    Training,
    Vocabulary,
)
from rhapsode_exporter.bundle import variant
from rhapsode_exporter.bundle.draft import BundleDraft, GraphDraft, Preview
from rhapsode_exporter.bundle.quantize import SCHEMES, Precision
from rhapsode_exporter.bundle.read import read_bundle
from rhapsode_exporter.bundle.variant import Variant, write_variant
from rhapsode_exporter.data.own_text import load_own
from rhapsode_exporter.errors import (
    BundleExistsError,
    BundleUnreadableError,
    DataUnavailableError,
    QuantizationRefusedError,
)
from rhapsode_exporter.families.base import Order
from rhapsode_exporter.judge import speed
from rhapsode_exporter.main import build_app
from support import bundles
from support.server import load

LINES = "To be, or not to be, that is the question:\nWhether 'tis nobler in the mind to suffer\n"


@pytest.fixture(autouse=True)
def short_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """The figures of speed are looked at, not believed."""
    monkeypatch.setattr(speed, "ROUND_SECONDS", 0.0005)


def quantized(draft: bundles.Draft, home: Path, precision: Precision = Precision.INT8) -> Variant:
    return write_variant(read_bundle(draft.write(home / "source")), precision, home / "models", None)


def figures(manifest: Bundle) -> dict[str, Metric]:
    return {metric.name: metric for metric in manifest.metrics}


@pytest.mark.parametrize("precision", Precision)
def test_a_text_bundle_is_served_as_one_of_its_own(precision: Precision, tmp_path: Path) -> None:
    written = quantized(bundles.stepper(), tmp_path, precision)
    assert written.folder == tmp_path / "models" / f"tiny-text-{precision}" / "1"
    assert written.batch_invariant
    served = load(tmp_path / "models").models.find(f"tiny-text-{precision}")
    assert served.batch_invariant
    assert list(served.bundle.sequence.vocabulary.tokens) == list(bundles.CHARACTERS)
    assert served.bundle.graphs[0].states[0].initial_value == 0.25
    found = figures(served.bundle)
    assert 0 < found["quantization_divergence_nats"].value < 0.1
    assert found["step_batch_1_cpu_us"].value > 0 < found["step_batch_64_cpu_us"].baseline
    assert {file.path for file in served.bundle.files} == {
        *("step.onnx", "goldens.safetensors", "card.md", "preview.txt")
    }
    card = (written.folder / "card.md").read_text(encoding="utf-8")
    assert f"quantised to {SCHEMES[precision].bits} bits, so its bytes may differ between processor families" in card
    assert len((written.folder / "preview.txt").read_text(encoding="utf-8")) == 600


def test_coarser_weights_lose_more(tmp_path: Path) -> None:
    fine, coarse = (
        figures(quantized(bundles.stepper(), tmp_path / precision, precision).manifest) for precision in Precision
    )
    name = "quantization_divergence_nats"
    assert coarse[name].value > 4 * fine[name].value


def test_the_tolerance_allows_a_server_that_does_not_round_inputs(tmp_path: Path) -> None:
    written = quantized(bundles.stepper(), tmp_path)
    model = onnx.load(written.folder / "step.onnx")
    for node in model.graph.node:
        for attribute in node.attribute:
            if attribute.name == "accuracy_level":
                attribute.i = 1
    onnx.save(model, written.folder / "step.onnx")
    bundles.seal(written.folder, written.manifest)
    assert load(tmp_path / "models").models.find("tiny-text-int8").digest
    assert 1e-4 < written.manifest.graphs[0].tolerance < 0.5


def test_a_picture_bundle_keeps_what_has_no_products(tmp_path: Path) -> None:
    draft = bundles.grey_generator()
    written = quantized(draft, tmp_path)
    source = tmp_path / "source" / "tiny-digits" / "1"
    assert load(tmp_path / "models").models.find("tiny-digits-int8").batch_invariant
    assert figures(written.manifest).keys() == {
        f"{role}_{figure}"
        for role in ("decode", "critic")
        for figure in ("quantization_rms", "batch_1_cpu_us", "batch_64_cpu_us")
    }
    before, after = (load_file(folder / "goldens.safetensors") for folder in (source, written.folder))
    assert before.keys() == after.keys()
    assert all(np.array_equal(before[name], after[name]) for name in before if ".inputs." in name)
    assert (written.folder / "preview.png").read_bytes().startswith(b"\x89PNG")


def test_a_bundle_without_float32_products_is_refused(tmp_path: Path) -> None:
    stored = read_bundle(quantized(bundles.stepper(), tmp_path).folder)
    with pytest.raises(QuantizationRefusedError, match=r"tiny-text-int8/1 has nothing to quantise"):
        write_variant(stored, Precision.INT4, tmp_path / "again", None)
    assert not (tmp_path / "again").exists()


def test_where_measuring_fails_nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError("the disk is gone")

    monkeypatch.setattr(variant, "figures", fail)
    with pytest.raises(OSError, match="the disk is gone"):
        quantized(bundles.stepper(), tmp_path)
    assert not (tmp_path / "models").exists()


def test_a_name_that_grows_too_long_is_refused(tmp_path: Path) -> None:
    with pytest.raises(QuantizationRefusedError, match="cannot name a bundle"):
        quantized(bundles.stepper("a" * 60), tmp_path)


def test_a_variant_is_replaced_only_when_told(tmp_path: Path) -> None:
    stored = read_bundle(bundles.stepper().write(tmp_path / "source"))
    folder = write_variant(stored, Precision.INT8, tmp_path, None).folder
    with pytest.raises(BundleExistsError, match="--overwrite"):
        write_variant(stored, Precision.INT8, tmp_path, None)
    (folder / "step.onnx").write_bytes(b"")
    write_variant(stored, Precision.INT8, tmp_path, None, overwrite=True)
    assert read_bundle(folder).manifest.name == "tiny-text-int8"


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("bundle.json", None, "holds no bundle"),
        ("bundle.json", b"{", "is not the manifest"),
        ("bundle.json", b"{}", "does not list 'goldens.safetensors'"),
        ("bundle.json", b'{"files": [{"path": "../step.onnx"}]}', "is no name of a file"),
        ("step.onnx", None, "step.onnx is not there"),
        ("step.onnx", b"changed", "step.onnx is not what its hash says"),
    ],
)
def test_what_is_no_whole_bundle_is_refused(file: str, content: bytes | None, message: str, tmp_path: Path) -> None:
    folder = bundles.stepper().write(tmp_path)
    (folder / file).unlink()
    if content is not None:
        (folder / file).write_bytes(content)
    with pytest.raises(BundleUnreadableError, match=message):
        read_bundle(folder)


def test_goldens_that_lack_a_tensor_are_refused(tmp_path: Path) -> None:
    folder = bundles.stepper().write(tmp_path)
    manifest = Parse((folder / "bundle.json").read_text(encoding="utf-8"), Bundle())
    manifest.graphs[0].inputs[0].name = "letter"
    bundles.seal(folder, manifest)
    with pytest.raises(BundleUnreadableError, match=r"step\.inputs\.letter"):
        read_bundle(folder)


class Parrot:
    """A family that needs no training: its network has the weights that it is born with."""

    name = "parrot"
    description = "a family for tests"
    schedules: tuple[str, ...] = ()
    measures_error = True

    def __init__(self) -> None:
        self.trained = 0

    def train(self, order: Order) -> BundleDraft | None:
        self.trained += 1
        assert order.data is not None
        corpus = load_own(order.data)
        size = len(corpus.alphabet)
        network = nn.Sequential(nn.Embedding(size, 64), nn.Linear(64, size))
        token = torch.arange(33) % size
        return BundleDraft(
            name=self.name,
            kind=ModelKind.MODEL_KIND_SEQUENCE,
            description="A test.",
            licence="Apache-2.0",
            graphs=(GraphDraft(GraphRole.GRAPH_ROLE_STEP, network, {"token": token}, ("logits",)),),
            training=Training(data=DataSet(name="lines", sha256=corpus.sha256)),
            metrics=(),
            preview=Preview("preview.txt", b"abc"),
            sequence=SequenceSpec(vocabulary=Vocabulary(tokens=corpus.alphabet, start_token=0)),
        )


class Shell:
    """The command line in a folder of its own, with a text to train on and another one."""

    def __init__(self, home: Path) -> None:
        self.family = Parrot()
        self.models = home / "models"
        self.own, self.other = home / "own.txt", home / "other.txt"
        self.own.write_text(LINES * 150, encoding="utf-8")
        self.other.write_text(LINES[::-1] * 150, encoding="utf-8")

    def run(self, *words: str) -> str:
        console = Console(file=io.StringIO(), width=200)
        told = [*words, "--out", str(self.models)]
        done = CliRunner().invoke(build_app([self.family], console), told, catch_exceptions=False)
        assert done.exit_code == 0, done.output
        assert isinstance(console.file, io.StringIO)
        return console.file.getvalue()


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """Where a model was trained with --quantize int8."""
    threads, rounds = torch.get_num_threads(), speed.ROUND_SECONDS
    speed.ROUND_SECONDS = 0.0005
    made = Shell(tmp_path_factory.mktemp("home"))
    assert "parrot-int8" in made.run("parrot", "--data", str(made.own), "--threads", "1", "--quantize", "int8")
    yield made
    speed.ROUND_SECONDS = rounds
    torch.set_num_threads(threads)


def test_training_writes_the_variant_beside_the_bundle(shell: Shell) -> None:
    source, made = (read_bundle(shell.models / name / "1").manifest for name in ("parrot", "parrot-int8"))
    found = figures(made)
    nats = found["held_out_nats_per_character"]
    assert "the last 5% of each file, read in 9 windows of 70 characters" in nats.description
    assert 0 < abs(nats.value - nats.baseline) < 0.01
    assert found["quantization_loss_nats_per_character"].value == nats.value - nats.baseline
    assert made.training.data == source.training.data


def test_the_command_measures_on_random_tokens_where_the_text_is_not_given(shell: Shell) -> None:
    said = shell.run("quantize", f"{shell.models}/parrot/1", "--to", "int4")
    assert "quantization_divergence_nats" in said
    assert f"wrote {shell.models}/parrot-int4/1" in said
    assert load(shell.models).models.find("parrot-int4").batch_invariant


def test_another_text_is_refused(shell: Shell) -> None:
    with pytest.raises(DataUnavailableError, match=r"other\.txt is not the text that parrot was trained on"):
        shell.run("quantize", f"{shell.models}/parrot/1", "--data", str(shell.other), "--overwrite")


def test_an_existing_variant_is_refused_before_training_and_measuring(shell: Shell) -> None:
    trained = shell.family.trained
    shutil.copytree(shell.models / "parrot-int8" / "1", shell.models / "parrot-int8" / "2")
    with pytest.raises(BundleExistsError, match="parrot-int8/2"):
        shell.run("parrot", "--data", str(shell.own), "--quantize", "int8", "--version", "2")
    with pytest.raises(BundleExistsError, match="parrot-int8/1"):
        shell.run("quantize", f"{shell.models}/parrot/1")
    assert shell.family.trained == trained

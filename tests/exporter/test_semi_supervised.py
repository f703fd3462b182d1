"""The semi-supervised loop learns, resumes exactly, and its critic becomes a graph whose rows do not see each other."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from rich.console import Console
from torch import Tensor

from exporter.test_vae import StopAfter
from rhapsode.v1.bundle_pb2 import Bundle, GraphRole, StopReason
from rhapsode_exporter.bundle.company import batch_invariant
from rhapsode_exporter.bundle.draft import GraphDraft
from rhapsode_exporter.bundle.export import export_graph
from rhapsode_exporter.bundle.onnx_runtime import OnnxRuntime
from rhapsode_exporter.errors import BundleUnreadableError
from rhapsode_exporter.families.label_draws import own_draw, summary
from rhapsode_exporter.judge.few_labels import Accuracies, accuracy, draw_labels, linear_probe, metrics, probe_accuracy
from rhapsode_exporter.loops.semi_supervised import Class, Lesson, SemiSupervisedSettings, taught, train
from rhapsode_exporter.networks.plain import with_plain_weights
from rhapsode_exporter.networks.semi_supervised import LATENT_SIZE, ClassCritic, PictureMaker, log_sum_exp
from rhapsode_exporter.run.folder import RunFolder
from rhapsode_exporter.run.interrupt import Interrupt
from rhapsode_exporter.run.stop import StopRule
from rhapsode_exporter.run.training import Outcome, TrainingRun

SETTINGS = SemiSupervisedSettings(labelled_batch=8, batch=8, average_decay=0.5, reach=0, evaluate_every=4)


def bars(count: int) -> tuple[Tensor, Tensor]:
    """Pictures [count, 1, 28, 28] of ten easy classes: class c is c + 1 rows of ink."""
    labels = torch.arange(count) % 10
    images = torch.full((count, 1, 28, 28), -1.0)
    for image, label in zip(images, labels.tolist(), strict=True):
        image[:, 4 : 6 + 2 * label] = 1.0
    return images, labels


def lesson() -> Lesson:
    return Lesson(*bars(20), bars(60)[0])


def pupils(width: int = 4) -> Class:
    torch.manual_seed(1)
    return Class(ClassCritic(width, features=16), PictureMaker(hidden=16), SETTINGS)


def trained(folder: Path, steps: int, interrupt: Interrupt | None = None) -> tuple[Class, Outcome]:
    ours, console = pupils(), Console(file=io.StringIO())
    run = TrainingRun("critic", RunFolder(folder), StopRule(steps), 3, interrupt or Interrupt(), console)
    held_out = bars(30)
    samples = torch.zeros(4, LATENT_SIZE)
    return ours, train(run, ours, lesson(), {}, samples, lambda critic: {"named": accuracy(critic, *held_out)})


def test_a_run_leaves_sheets_history_curves_and_a_checkpoint(tmp_path: Path) -> None:
    _, outcome = trained(tmp_path, 10)
    assert (outcome.stop.reason, outcome.position.step) == (StopReason.STOP_REASON_STEPS, 10)
    assert [row.step for row in RunFolder(tmp_path).history()] == [0, 4, 8, 10]
    assert {"naming", "telling", "matching", "named"} <= RunFolder(tmp_path).history()[-1].values.keys()
    assert len(list((tmp_path / "sheets").glob("step-*.png"))) == 4
    assert (tmp_path / "curves.png").exists()


def test_a_resumed_run_ends_with_the_same_weights(tmp_path: Path) -> None:
    whole, _ = trained(tmp_path / "whole", 10)
    _, outcome = trained(tmp_path / "parts", 10, StopAfter(6))
    assert outcome.stop.reason == StopReason.STOP_REASON_INTERRUPTED
    resumed, _ = trained(tmp_path / "parts", 10)
    for name, tensor in whole.kept.state_dict().items():
        assert torch.equal(tensor, resumed.kept.state_dict()[name]), name


def test_without_a_folder_the_same_is_learnt(tmp_path: Path) -> None:
    kept, (in_folder, _) = taught(pupils(), lesson(), 10, seed=3), trained(tmp_path, 10)
    assert all(torch.equal(a, b) for a, b in zip(kept.parameters(), in_folder.kept.parameters(), strict=True))


def test_classes_are_learnt_from_labels_with_a_game_and_without() -> None:
    for material in (lesson(), Lesson(*bars(20))):
        critic = taught(pupils(8), material, 150, seed=0)
        assert accuracy(critic, *bars(50)) > 0.5


def test_only_the_game_teaches_the_generator() -> None:
    alone, playing = pupils(), pupils()
    before = [parameter.clone() for parameter in alone.generator.parameters()]
    taught(alone, Lesson(*bars(20)), 2, seed=0)
    taught(playing, lesson(), 2, seed=0)
    assert all(torch.equal(a, b) for a, b in zip(alone.generator.parameters(), before, strict=True))
    assert any(not torch.equal(a, b) for a, b in zip(playing.generator.parameters(), before, strict=True))


@pytest.mark.parametrize("scale", [0.0, 1.0, 30.0, 300.0])
def test_the_realness_is_the_logarithm_of_the_sum_of_exponentials(scale: float) -> None:
    logits = scale * torch.randn(500, 10, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(log_sum_exp(logits), torch.logsumexp(logits, 1), rtol=1e-6, atol=2e-6)


def test_its_graph_gives_a_row_the_same_bits_everywhere(tmp_path: Path) -> None:
    critic = with_plain_weights(taught(pupils(), lesson(), 3, seed=0)).to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    inputs = torch.randn(33, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    draft = GraphDraft(GraphRole.GRAPH_ROLE_CRITIC, critic, {"image": inputs}, ("realness", "class_logits"))
    graph = OnnxRuntime(tmp_path / export_graph(draft, tmp_path).file)
    assert batch_invariant(graph, {"image": inputs.numpy()})
    found = graph.run({"image": inputs.numpy()})
    assert [found[name].shape for name in ("realness", "class_logits")] == [(33,), (33, 10)]
    with torch.no_grad():
        torch.testing.assert_close(torch.from_numpy(found["realness"]), critic(inputs)[0], rtol=0.0, atol=1e-5)


def test_labels_are_drawn_evenly_and_by_seed() -> None:
    labels: NDArray[np.int64] = np.arange(200, dtype=np.int64) % 10
    rows = draw_labels(labels, 3, seed=1)
    assert np.bincount(labels[rows.numpy()]).tolist() == [3] * 10
    assert torch.equal(rows, draw_labels(labels, 3, seed=1))
    assert not torch.equal(rows, draw_labels(labels, 3, seed=2))


def test_a_probe_reads_what_is_linear() -> None:
    features = torch.randn(200, 12, generator=torch.Generator().manual_seed(0))
    labels = features[:, :10].argmax(dim=1)
    probe = linear_probe(features, labels)
    assert float((probe(features).argmax(dim=1) == labels).double().mean()) > 0.9
    assert 0.0 <= probe_accuracy(pupils().kept, bars(20), bars(30)) <= 1.0


def test_the_figures_say_what_they_are_compared_with() -> None:
    told = {metric.name: metric for metric in metrics(Accuracies(0.95, 0.9, 0.93), 100)}
    assert told["held_out_accuracy_share"].baseline == told["supervised_accuracy_share"].value == 0.9
    assert told["linear_probe_accuracy_share"].value == 0.93
    mean, gain = summary([Accuracies(0.95, 0.9, 0.9), Accuracies(0.91, 0.89, 0.9)])
    assert mean.value == pytest.approx(0.93)
    assert mean.baseline == pytest.approx(0.895)
    assert gain.value == pytest.approx(3.5)
    assert "2 draws" in gain.description
    assert "2.00 to 5.00" in gain.description


def test_a_draw_is_read_back_from_its_bundle() -> None:
    found = Accuracies(0.95, 0.9, 0.93)
    assert own_draw(Bundle(metrics=metrics(found, 100))) == found
    with pytest.raises(BundleUnreadableError, match="held_out_accuracy_share"):
        own_draw(Bundle(name="other"))

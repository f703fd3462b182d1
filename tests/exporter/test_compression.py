"""The compressing autoencoder's loop, its table of frequencies, and the files that it is compared with."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from google.protobuf.json_format import Parse
from rich.console import Console
from safetensors.numpy import load_file

from exporter.test_export_pictures import assert_batch_invariant
from exporter.test_vae import PICTURES, StopAfter, run_in
from rhapsode.v1.bundle_pb2 import Bundle, StopReason
from rhapsode_exporter.bundle.write import write_bundle
from rhapsode_exporter.families import faces_codec
from rhapsode_exporter.families.base import Order
from rhapsode_exporter.families.faces_codec import FacesCodec
from rhapsode_exporter.judge.compression import PAYLOAD_OVERHEAD, TOTAL, Sheet, frequencies, payload_bytes
from rhapsode_exporter.loops.compression import CompressionSettings, train
from rhapsode_exporter.networks.compressor import Compressor, Prior, rounded
from rhapsode_exporter.run.folder import RunFolder
from rhapsode_exporter.run.interrupt import Interrupt
from rhapsode_exporter.run.stop import StopRule
from rhapsode_exporter.run.training import Outcome
from rhapsode_server.models.codec import Codec
from support.server import load

SETTINGS = CompressionSettings(batch=8, warm_up=2, rate_warm_up=4, evaluate_every=4, bfloat16=False)


def trained(
    folder: Path, rule: StopRule, interrupt: Interrupt | None = None, settings: CompressionSettings = SETTINGS
) -> tuple[Compressor, Outcome]:
    torch.manual_seed(1)
    network = Compressor(width=4, latent_size=6)
    return network, train(run_in(folder, rule, interrupt), network, PICTURES, settings, {"seed": "3"})


def test_pictures_get_better_and_codes_cheaper(tmp_path: Path) -> None:
    settings = replace(SETTINGS, evaluate_every=50, rate_warm_up=100)
    trained(tmp_path, StopRule(steps=300), settings=settings)
    rows = [row.values for row in RunFolder(tmp_path).history()]
    assert rows[-1]["validation_psnr_db"] > rows[0]["validation_psnr_db"] + 3.0
    assert rows[-1]["validation_bits"] < max(row["validation_bits"] for row in rows)
    assert (tmp_path / "curves.png").stat().st_size > 0
    assert sorted((tmp_path / "sheets").glob("step-*.png"))


def test_a_resumed_run_ends_with_the_same_weights(tmp_path: Path) -> None:
    whole, _ = trained(tmp_path / "whole", StopRule(steps=10))
    _, outcome = trained(tmp_path / "parts", StopRule(steps=10), StopAfter(6))
    assert outcome.stop.reason == StopReason.STOP_REASON_INTERRUPTED
    resumed, outcome = trained(tmp_path / "parts", StopRule(steps=10))
    assert outcome.position.step == 10
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[name]), name


def test_rounding_lets_gradients_through() -> None:
    mean = torch.tensor([0.4, 1.6], requires_grad=True)
    whole = rounded(mean)
    whole.sum().backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
    assert whole.tolist() == [0.0, 2.0]
    assert mean.grad is not None
    assert mean.grad.tolist() == [1.0, 1.0]


def test_the_prior_shares_one_bit_of_probability_among_all_values() -> None:
    prior = Prior(1)
    values = torch.arange(-200.0, 201.0)[:, None]
    with torch.no_grad():
        assert float((-prior(values)).exp2().sum()) == pytest.approx(1.0, abs=1e-3)


def test_frequencies_are_whole_never_zero_and_sum_to_one_number() -> None:
    codes = np.array([[0, 5], [0, -5], [1, 5], [0, 0]])
    table = frequencies(codes, 5)
    assert table.dtype == np.int32
    assert (table.sum(axis=1, dtype=np.int64) == TOTAL).all()
    assert table.min() >= 1
    assert table[0].argmax() == 5  # the column of 0
    assert table[1, 10] > table[1, 0] > table[1, 3]


def test_sizes_are_those_of_the_servers_payloads() -> None:
    chance = np.random.default_rng(0)
    codes = np.rint(chance.normal(0.0, 2.0, (50, 12))).astype(np.int64)
    table = frequencies(codes[:40], 6)
    codec = Codec(1.0, table, b"same")
    payloads = [codec.compress(code.astype(np.float32)) for code in codes]
    assert payload_bytes(codes, table) == sum(map(len, payloads))
    assert {len(payload) % 4 for payload in payloads} == {PAYLOAD_OVERHEAD % 4}


def test_a_rival_is_the_smallest_file_that_is_good_enough() -> None:
    chance = torch.Generator().manual_seed(0)
    pictures = torch.nn.functional.interpolate(torch.rand(80, 3, 4, 4, generator=chance), size=16, mode="bilinear")
    sheet = Sheet(pictures, columns=20)
    assert len(sheet.pictures) == 80
    for rival in (sheet.palette_png, sheet.webp, sheet.jpeg):
        worse, better = rival(20.0), rival(30.0)
        assert 0 < worse.size < better.size, (worse, better)
    assert "lossless" in sheet.webp(99.0).words
    assert "which is worse" in sheet.jpeg(99.0).words
    assert len(Sheet(pictures[:50], columns=20).pictures) == 40


def test_faces_become_a_compressor_that_the_server_serves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faces_codec, "QUICK", replace(faces_codec.QUICK, faces=1000, width=4, latent_size=5))
    console = Console(file=io.StringIO())
    order = Order(True, 7, tmp_path / "cache", tmp_path / "runs", console, Interrupt(), steps=4)
    draft = FacesCodec().train(order)
    assert draft is not None
    folder = write_bundle(draft, tmp_path / "models", 1)
    bundle = Parse((folder / "bundle.json").read_text(encoding="utf-8"), Bundle())
    assert bundle.code.step == 1.0
    assert load_file(folder / "code.safetensors")["frequencies"].shape == (5, 2 * bundle.code.reach + 1)
    assert [metric.name.rpartition("_beside_")[2] for metric in bundle.metrics[2:]] == ["palette_png", "webp", "jpeg"]
    assert_batch_invariant(bundle, folder)
    model = load(tmp_path / "models").models.find("faces-codec")
    assert model.codec is not None
    assert model.batch_invariant

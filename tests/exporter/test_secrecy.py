"""Nets learn to encrypt: the receiver reads, listeners do not, and an open channel is found out."""

import io
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from rich.console import Console
from torch import Tensor, nn

from exporter.test_vae import StopAfter
from rhapsode.v1.bundle_pb2 import StopReason
from rhapsode_exporter.loops.secrecy import Parties, SecrecySettings, bit_error, draw_bits, listen, train
from rhapsode_exporter.networks.cipher import Eavesdropper, Mixer
from rhapsode_exporter.run.folder import RunFolder
from rhapsode_exporter.run.interrupt import Interrupt
from rhapsode_exporter.run.stop import StopRule
from rhapsode_exporter.run.training import Outcome, TrainingRun

SETTINGS = SecrecySettings(bits=4, width=16, listener_width=16, batch=64, renewed_every=4, evaluate_every=5)


def played(
    folder: Path, steps: int, interrupt: Interrupt | None = None, settings: SecrecySettings = SETTINGS
) -> tuple[Parties, Outcome]:
    torch.manual_seed(1)
    parties = Parties(settings)
    run = TrainingRun(
        "secrets", RunFolder(folder), StopRule(steps), 3, interrupt or Interrupt(), Console(file=io.StringIO())
    )
    return parties, train(run, parties, settings, {"seed": "3"})


def test_the_receiver_reads_and_a_new_listener_does_not(tmp_path: Path) -> None:
    parties, _ = played(tmp_path, 1500, settings=replace(SETTINGS, renewed_every=500, evaluate_every=1500))
    generator = torch.Generator().manual_seed(0)
    plain, key = draw_bits(4000, 4, generator), draw_bits(4000, 4, generator)
    assert bit_error(parties.receiver(parties.sender(plain, key), key), plain) < 0.02
    assert listen(parties.sender, Eavesdropper(4, 32), 4, 300, seed=0) > 0.4


class Open(nn.Module):
    """A sender that hides nothing."""

    def forward(self, plain: Tensor, key: Tensor) -> Tensor:
        return 0.5 * plain + 0.0 * key


@pytest.mark.parametrize("newcomer", [Eavesdropper(4, 16), Mixer(4)], ids=["perceptron", "the paper's"])
def test_an_open_channel_is_read(newcomer: nn.Module) -> None:
    assert listen(Open(), newcomer, 4, 600, seed=0, rate=1e-2) < 0.1


def test_a_resumed_game_ends_with_the_same_weights(tmp_path: Path) -> None:
    whole, _ = played(tmp_path / "whole", 12)
    _, outcome = played(tmp_path / "parts", 12, StopAfter(6))
    assert (outcome.stop.reason, outcome.position.step) == (StopReason.STOP_REASON_INTERRUPTED, 6)
    resumed, outcome = played(tmp_path / "parts", 12)
    assert outcome.position.step == 12
    for name, network in vars(whole).items():
        for key, tensor in network.state_dict().items():
            assert torch.equal(tensor, getattr(resumed, name).state_dict()[key]), (name, key)


def test_errors_are_shares_of_bits() -> None:
    plain = torch.tensor([[1.0, -1.0], [1.0, 1.0]])
    assert bit_error(0.1 * plain, plain) == 0.0
    assert bit_error(-plain, plain) == 1.0
    assert bit_error(torch.ones(2, 2), plain) == 0.25

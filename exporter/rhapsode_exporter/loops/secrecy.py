"""The training loop of nets that learn to encrypt: two that share a key against one that listens.

Adversarial neural cryptography (Abadi & Andersen 2016). The sender and the receiver want the receiver to read every
bit, and the eavesdropper to do no better than a coin; the eavesdropper wants to read. Every so often it is replaced by
a new one, so that the pair must hide its messages from any listener, and not from one whose habits it knows.
"""

import math
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from rhapsode_exporter.networks.cipher import Eavesdropper, KeyedNetwork
from rhapsode_exporter.run.chance import Chance
from rhapsode_exporter.run.curves import draw_curves
from rhapsode_exporter.run.folder import HistoryRow, Position, Stateful
from rhapsode_exporter.run.stop import Reading
from rhapsode_exporter.run.training import Outcome, Stopwatch, TrainingRun


@dataclass(frozen=True, slots=True)
class SecrecySettings:
    """How the three are trained; an eavesdropper takes `lead` steps for each of the pair's."""

    bits: int = 16
    width: int = 64
    listener_width: int = 64
    batch: int = 256
    learning_rate: float = 3e-3
    listener_rate: float = 2e-3
    lead: int = 2
    renewed_every: int = 500
    evaluate_every: int = 500


class Parties:
    """The three networks."""

    def __init__(self, settings: SecrecySettings) -> None:
        self.sender = KeyedNetwork(settings.bits, settings.width)
        self.receiver = KeyedNetwork(settings.bits, settings.width)
        self.eavesdropper = Eavesdropper(settings.bits, settings.listener_width)


@dataclass(slots=True)
class _Figures:
    """Shares of bits read wrongly, as seen last."""

    receiver: float = math.nan
    eavesdropper: float = math.nan

    def shares(self) -> dict[str, float]:
        return {"receiver_error": self.receiver, "eavesdropper_error": self.eavesdropper}

    def state_dict(self) -> dict[str, Any]:
        return asdict(self)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        for name, value in state_dict.items():
            setattr(self, name, value)


class _Game:
    """The state of the game between two steps."""

    def __init__(self, parties: Parties, settings: SecrecySettings, seed: int) -> None:
        self.parties, self.settings, self.chance, self.figures = parties, settings, Chance(seed), _Figures()
        pair = [*parties.sender.parameters(), *parties.receiver.parameters()]
        self.pair = torch.optim.Adam(pair, lr=settings.learning_rate)
        self.listener = torch.optim.Adam(parties.eavesdropper.parameters(), lr=settings.listener_rate)

    def parts(self) -> dict[str, Stateful]:
        """What a checkpoint holds."""
        networks: dict[str, Stateful] = dict(vars(self.parties))
        own: dict[str, Stateful] = {"pair": self.pair, "listener": self.listener, "figures": self.figures}
        return networks | own | {"chance": self.chance}

    def step(self) -> None:
        """A step of the pair, then the eavesdropper's."""
        parties, settings = self.parties, self.settings
        plain, key = self._bits(), self._bits()
        cipher = parties.sender(plain, key)
        read, guess = parties.receiver(cipher, key), parties.eavesdropper(cipher)
        loss = (read - plain).square().mean() + (1.0 - (guess - plain).abs().mean()).square()
        _descend(self.pair, loss)
        for _ in range(settings.lead):
            self._listen()
        self.figures.receiver, self.figures.eavesdropper = bit_error(read, plain), bit_error(guess, plain)

    def renew(self) -> None:
        """Put a new eavesdropper in the old one's place."""
        for layer in self.parties.eavesdropper.modules():
            if isinstance(layer, nn.Linear):
                layer.reset_parameters()
        self.listener.state.clear()

    def _listen(self) -> None:
        plain, key = self._bits(), self._bits()
        with torch.no_grad():
            cipher = self.parties.sender(plain, key)
        _descend(self.listener, (self.parties.eavesdropper(cipher) - plain).abs().mean())

    def _bits(self) -> Tensor:
        return draw_bits(self.settings.batch, self.settings.bits, self.chance.generator)


def train(run: TrainingRun, parties: Parties, settings: SecrecySettings, identity: dict[str, str]) -> Outcome:
    """Play until the stop rule fires or a person interrupts; the networks are then in evaluation mode.

    `identity` says what is trained, for the checkpoint.
    """
    game = _Game(parties, settings, run.seed)
    start = run.folder.restore(game.parts(), identity)
    step, watch = start.step, Stopwatch(start.seconds)
    with run.progress() as progress:
        while (stop := run.decide(Reading(step))) is None:
            if step and step % settings.renewed_every == 0 and step + settings.renewed_every <= run.rule.steps:
                game.renew()
            for group in game.pair.param_groups:
                group["lr"] = settings.learning_rate * 0.5 * (1 + math.cos(math.pi * min(1.0, step / run.rule.steps)))
            game.step()
            step += 1
            if step % settings.evaluate_every == 0:
                run.folder.record(HistoryRow(step, watch.seconds(), game.figures.shares()))
                draw_curves(run.folder.history(), run.folder.curves)
                run.folder.save(Position(step, watch.seconds()), game.parts(), identity)
            progress.update(step, game.figures.shares())
    run.folder.save(Position(step, watch.seconds()), game.parts(), identity)
    for network in vars(parties).values():
        network.eval()
    return Outcome(stop, Position(step, watch.seconds()))


def draw_bits(count: int, bits: int, generator: torch.Generator) -> Tensor:
    """Random bits [count, bits], each −1 or 1."""
    return torch.randint(0, 2, (count, bits), generator=generator).float() * 2.0 - 1.0


def bit_error(read: Tensor, plain: Tensor) -> float:
    """The share of bits whose sign was read wrongly."""
    return float(((read > 0) != (plain > 0)).double().mean())


def listen(
    sender: nn.Module, newcomer: nn.Module, bits: int, steps: int, seed: int, *, batch: int = 256, rate: float = 2e-3
) -> float:
    """Train a newcomer against a sender that does not change: the share of fresh bits that it then reads wrongly."""
    generator = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.Adam(newcomer.parameters(), lr=rate)

    def overhear(count: int) -> tuple[Tensor, Tensor]:
        plain, key = draw_bits(count, bits, generator), draw_bits(count, bits, generator)
        with torch.no_grad():
            return sender(plain, key), plain

    for _ in range(steps):
        cipher, plain = overhear(batch)
        _descend(optimiser, (newcomer(cipher) - plain).abs().mean())
    with torch.no_grad():
        cipher, plain = overhear(20_000)
        return bit_error(newcomer(cipher), plain)


def _descend(optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
    optimiser.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
    optimiser.step()

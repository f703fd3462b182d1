"""The training loop of sequence models: backpropagation through time over streams of works or whole documents."""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rhapsode_exporter.data.documents import Documents
from rhapsode_exporter.data.streams import Segment, Streams
from rhapsode_exporter.judge.text import nats_per_character
from rhapsode_exporter.networks.recurrent import CharacterNetwork, State
from rhapsode_exporter.run.curves import draw_curves
from rhapsode_exporter.run.folder import HistoryRow, Position, Stateful
from rhapsode_exporter.run.stop import Reading
from rhapsode_exporter.run.training import Outcome, Stopwatch, TrainingRun


@dataclass(frozen=True, slots=True)
class SequenceSettings:
    """How a sequence network is trained; a step sees `streams` × `segment` characters.

    Of documents that stand alone it sees `streams` whole ones, cut off after `segment` characters.
    """

    streams: int = 64
    segment: int = 128
    learning_rate: float = 4e-3
    warm_up: int = 200
    weight_decay: float = 0.02
    dropout: float = 0.2
    clip: float = 1.0
    fresh_share: float = 0.01
    evaluate_every: int = 500
    bfloat16: bool = False


@dataclass(frozen=True, slots=True)
class Texts:
    """What the loop reads: ids to learn from, and ids to choose the best weights by, each [N + 1].

    The first id of a text stands before it, and is only read. `documents` says whether the texts to learn from stand
    alone; works are read one after another, as one long text.
    """

    training: Sequence[Tensor]
    validation: Sequence[Tensor]
    documents: bool = False


class _Dealer(Stateful, Protocol):
    """What deals segments to learn from."""

    def deal(self) -> Segment: ...


@dataclass(slots=True)
class _Carried:
    """The recurrent state that one segment leaves to the next."""

    state: State

    def forget(self, fresh: Tensor) -> State:
        """The state with the rows zeroed that start anew."""
        kept = (~fresh)[:, None]
        return tuple(part * kept for part in self.state)

    def state_dict(self) -> dict[str, Any]:
        return dict(zip(("hidden", "cell"), self.state, strict=False))  # only an LSTM has a cell

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.state = tuple(state_dict[name] for name in self.state_dict())


@dataclass(slots=True)
class _Best:
    """The weights with the lowest validation error so far, and the two errors measured last."""

    weights: dict[str, Tensor]
    error: float = math.inf
    last: float | None = None
    previous: float | None = None

    def take(self, error: float, network: nn.Module) -> None:
        self.previous, self.last = self.last, error
        if error < self.error:
            self.error = error
            self.weights = {name: tensor.clone() for name, tensor in network.state_dict().items()}

    def reading(self, step: int) -> Reading:
        """What the stop rule is to judge; on going on from a checkpoint, what it judged last."""
        return Reading(step, self.last, self.previous)

    def state_dict(self) -> dict[str, Any]:
        return asdict(self)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        for name, value in state_dict.items():
            setattr(self, name, value)


def train(
    run: TrainingRun,
    network: CharacterNetwork,
    texts: Texts,
    settings: SequenceSettings,
    identity: dict[str, str],
    sample: Callable[[CharacterNetwork], str],
) -> Outcome:
    """Train until the stop rule fires or a person interrupts; the network then has its best weights.

    `identity` says what is trained, for the checkpoint; `sample` writes a text with the network, for the run folder.
    """
    optimiser = torch.optim.AdamW(network.parameters(), betas=(0.9, 0.99), weight_decay=settings.weight_decay)
    dealer = _dealer(texts, settings, run.seed)
    carried, best = _Carried(network.fresh_state(settings.streams)), _Best(network.state_dict())
    parts: dict[str, Stateful] = {
        "network": network,
        "optimiser": optimiser,
        "streams": dealer,
        "carried": carried,
        "best": best,
    }
    start = run.folder.restore(parts, identity)
    step, watch, loss = start.step, Stopwatch(start.seconds), math.nan

    def look() -> Reading:
        """Measure, write down what was seen, and keep a checkpoint."""
        error = nats_per_character(network, texts.validation)
        best.take(error, network)
        learned = {} if math.isnan(loss) else {"training": loss}
        run.folder.record(HistoryRow(step, watch.seconds(), {**learned, "validation": error}))
        (run.folder.sheets / f"step-{step:06}.txt").write_text(sample(network), encoding="utf-8")
        draw_curves(run.folder.history(), run.folder.curves)
        run.folder.save(Position(step, watch.seconds()), parts, identity)
        return best.reading(step)

    with run.progress() as progress:
        reading = look() if best.last is None else best.reading(step)
        while (stop := run.decide(reading)) is None:
            rate = learning_rate(step, run.rule.steps, settings)
            loss = _learn(network, optimiser, dealer.deal(), carried, rate, settings)
            step += 1
            reading = look() if step % settings.evaluate_every == 0 or step == run.rule.steps else Reading(step)
            progress.update(step, {"training": loss, "validation": best.last or math.nan})
    run.folder.save(Position(step, watch.seconds()), parts, identity)
    network.load_state_dict(best.weights)
    return Outcome(stop, Position(step, watch.seconds()))


def _dealer(texts: Texts, settings: SequenceSettings, seed: int) -> _Dealer:
    if texts.documents:
        return Documents(texts.training, settings.streams, settings.segment, seed)
    return Streams(torch.cat(list(texts.training)), settings.streams, settings.segment, settings.fresh_share, seed)


def learning_rate(step: int, steps: int, settings: SequenceSettings) -> float:
    """Linear warm-up, then half a cosine down to zero at `steps` (Loshchilov & Hutter 2017)."""
    warm = min(1.0, (step + 1) / settings.warm_up)
    return settings.learning_rate * warm * 0.5 * (1 + math.cos(math.pi * min(1.0, step / steps)))


def _learn(
    network: CharacterNetwork,
    optimiser: torch.optim.Optimizer,
    segment: Segment,
    carried: _Carried,
    rate: float,
    settings: SequenceSettings,
) -> float:
    """One optimiser step; the loss in nats per character."""
    for group in optimiser.param_groups:
        group["lr"] = rate
    network.train()
    with torch.autocast("cpu", torch.bfloat16, enabled=settings.bfloat16):
        logits, state = network(segment.inputs, carried.forget(segment.fresh))
    loss = F.cross_entropy(logits.float().flatten(0, 1), segment.targets.flatten())
    optimiser.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
    nn.utils.clip_grad_norm_(network.parameters(), settings.clip)
    optimiser.step()
    carried.state = tuple(part.detach().float() for part in state)
    return loss.item()

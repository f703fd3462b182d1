"""The training loop of a critic of texts that learns two classes, however many lines there are of each."""

import math
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from rhapsode_exporter.data.lines import Lines
from rhapsode_exporter.networks.text_classifier import GramCritic
from rhapsode_exporter.run.chance import Chance
from rhapsode_exporter.run.curves import draw_curves
from rhapsode_exporter.run.folder import HistoryRow, Position, Stateful
from rhapsode_exporter.run.stop import Reading
from rhapsode_exporter.run.training import Outcome, Stopwatch, TrainingRun


@dataclass(frozen=True, slots=True)
class TextClassSettings:
    """How a critic of texts learns; `dropout` is the share of n-grams that it does not see each time."""

    batch: int = 256
    learning_rate: float = 0.02
    dropout: float = 0.5
    evaluate_every: int = 100


@dataclass(slots=True)
class _Errors:
    """The validation errors measured last, in nats."""

    last: float | None = None
    previous: float | None = None

    def state_dict(self) -> dict[str, Any]:
        return asdict(self)

    def load_state_dict(self, state_dict: dict[str, Any], /) -> None:
        self.last, self.previous = state_dict["last"], state_dict["previous"]


def train(
    run: TrainingRun,
    critic: GramCritic,
    lines: Lines,
    validation: Lines,
    settings: TextClassSettings,
    identity: dict[str, str],
) -> Outcome:
    """Train until the stop rule fires or a person interrupts; `identity` says what is trained, for the checkpoint."""
    optimiser = torch.optim.Adam(critic.parameters(), lr=settings.learning_rate)
    chance, errors, weights = Chance(run.seed), _Errors(), balance(lines)
    parts: dict[str, Stateful] = {"critic": critic, "optimiser": optimiser, "chance": chance, "errors": errors}
    start = run.folder.restore(parts, identity)
    step, watch, loss = start.step, Stopwatch(start.seconds), math.nan

    def look() -> None:
        """Measure, write down what was seen, and keep a checkpoint."""
        errors.previous, errors.last = errors.last, balanced_error(critic, validation)
        learned = {} if math.isnan(loss) else {"training": loss}
        run.folder.record(HistoryRow(step, watch.seconds(), {**learned, "validation": errors.last}))
        draw_curves(run.folder.history(), run.folder.curves)
        run.folder.save(Position(step, watch.seconds()), parts, identity)

    with run.progress() as progress:
        if errors.last is None:
            look()
        while (stop := run.decide(Reading(step, errors.last, errors.previous))) is None:
            rate = settings.learning_rate * (1 - step / run.rule.steps)
            loss = _learn(critic, optimiser, lines.at(chance.rows(len(lines.labels), settings.batch)), weights, rate)
            step += 1
            if step % settings.evaluate_every == 0 or step == run.rule.steps:
                look()
            progress.update(step, {"training": loss, "validation": errors.last or math.nan})
    run.folder.save(Position(step, watch.seconds()), parts, identity)
    critic.eval()
    return Outcome(stop, Position(step, watch.seconds()))


def balance(lines: Lines) -> Tensor:
    """A weight for each of two classes, so that both count as much."""
    counts = torch.bincount(lines.labels, minlength=2).clamp(min=1)
    return len(lines.labels) / (2.0 * counts)


@torch.no_grad()
def balanced_error(critic: GramCritic, lines: Lines) -> float:
    """The cross-entropy in nats, both classes counting as much."""
    was_training = critic.training
    critic.eval()
    error = F.cross_entropy(critic(lines.tokens, lines.length), lines.labels, weight=balance(lines))
    critic.train(was_training)
    return error.item()


def _learn(critic: GramCritic, optimiser: torch.optim.Optimizer, lines: Lines, weights: Tensor, rate: float) -> float:
    """One optimiser step; the loss in nats."""
    for group in optimiser.param_groups:
        group["lr"] = rate
    critic.train()
    losses = F.cross_entropy(critic(lines.tokens, lines.length), lines.labels, weight=weights, reduction="none")
    loss = losses.mean()
    optimiser.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
    optimiser.step()
    return loss.item()

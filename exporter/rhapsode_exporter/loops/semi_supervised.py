"""The training loop of a critic that learns classes from a few labels and from a game (Salimans et al. 2016)."""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rhapsode_exporter.loops.augment import shift
from rhapsode_exporter.loops.averaging import MovingAverage
from rhapsode_exporter.loops.players import frozen
from rhapsode_exporter.networks.semi_supervised import LATENT_SIZE, ClassCritic, PictureMaker
from rhapsode_exporter.run.chance import Chance
from rhapsode_exporter.run.curves import draw_curves
from rhapsode_exporter.run.folder import HistoryRow, Position, Stateful
from rhapsode_exporter.run.sheets import write_sheet
from rhapsode_exporter.run.stop import Reading
from rhapsode_exporter.run.training import Outcome, Stopwatch, TrainingRun


@dataclass(frozen=True, slots=True)
class SemiSupervisedSettings:
    """How the critic and the generator learn."""

    labelled_batch: int = 32
    batch: int = 64
    critic_rate: float = 1e-3
    generator_rate: float = 1e-3
    betas: tuple[float, float] = (0.5, 0.99)
    average_decay: float = 0.995
    # Every picture that the critic sees is moved by up to so many pixels, as there are few.
    reach: int = 2
    evaluate_every: int = 500
    bfloat16: bool = False


@dataclass(frozen=True, slots=True)
class Lesson:
    """Pictures [L, 1, H, W] in [-1, 1] with their classes [L], and more without, [N, 1, H, W]: None for no game."""

    pictures: Tensor
    labels: Tensor
    unlabelled: Tensor | None = None


@dataclass(slots=True)
class Losses:
    """The losses seen last: naming classes and telling real from made in nats, matching features squared."""

    naming: float = math.nan
    telling: float = math.nan
    matching: float = math.nan

    def state_dict(self) -> dict[str, Any]:
        """The losses by name."""
        return asdict(self)

    def load_state_dict(self, state_dict: dict[str, Any], /) -> None:
        """Take losses over."""
        for name, value in state_dict.items():
            setattr(self, name, value)


class Class:
    """A critic, its generator and both optimisers."""

    def __init__(self, critic: ClassCritic, generator: PictureMaker, settings: SemiSupervisedSettings) -> None:
        # The layout that processors convolve fastest in.
        self.critic = critic.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # not in the stub
        self.generator = generator
        self.settings = settings
        self.average = MovingAverage(self.critic, settings.average_decay)
        self.losses = Losses()
        self._learns_judging = _adam(critic, settings.critic_rate, settings)
        self._learns_making = _adam(generator, settings.generator_rate, settings)

    @property
    def kept(self) -> ClassCritic:
        """The critic to keep, in evaluation mode."""
        return cast("ClassCritic", self.average.network)

    def parts(self) -> dict[str, Stateful]:
        """What a checkpoint holds."""
        return {
            "critic": self.critic,
            "generator": self.generator,
            "average": self.average,
            "losses": self.losses,
            "learns_judging": self._learns_judging,
            "learns_making": self._learns_making,
        }

    def teach(self, lesson: Lesson, chance: Chance, progress: float) -> None:
        """One step of the critic, and one of the generator where there is a game; `progress` is from 0 to 1."""
        for group in self._learns_judging.param_groups:
            group["lr"] = self.settings.critic_rate * min(1.0, 2.0 * (1.0 - progress))
        rows = chance.rows(len(lesson.labels), self.settings.labelled_batch)
        labels = lesson.labels[rows]
        if lesson.unlabelled is None:
            _, logits = self._judge(lesson.pictures[rows], chance)
            self._step(self._learns_judging, self._naming(logits, labels))
        else:
            real = lesson.unlabelled[chance.rows(len(lesson.unlabelled), self.settings.batch)]
            self._play(lesson.pictures[rows], labels, real, chance)
        self.average.follow(self.critic)

    def _play(self, pictures: Tensor, labels: Tensor, real: Tensor, chance: Chance) -> None:
        """The critic names labelled pictures and tells real from made; the generator matches mean features."""
        sizes = [len(pictures), len(real), len(real)]
        made = self._make(len(real), chance)
        features, logits = self._judge(torch.cat([pictures, real, made.detach()]), chance)
        named, on_real, on_made = torch.split(logits, sizes)
        telling = 0.5 * (F.softplus(-on_real.logsumexp(1)).mean() + F.softplus(on_made.logsumexp(1)).mean())
        self.losses.telling = telling.item()
        self._step(self._learns_judging, self._naming(named, labels) + telling)
        wanted = torch.split(features.detach(), sizes)[1].mean(dim=0)
        with frozen(self.critic):
            matching = (self._judge(made, chance)[0].mean(dim=0) - wanted).square().mean()
            self.losses.matching = matching.item()
            self._step(self._learns_making, matching)

    def _naming(self, logits: Tensor, labels: Tensor) -> Tensor:
        naming = F.cross_entropy(logits, labels)
        self.losses.naming = naming.item()
        return naming

    def _make(self, count: int, chance: Chance) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=self.settings.bfloat16):
            made: Tensor = self.generator(chance.normal(count, LATENT_SIZE))
        return made.float()

    def _judge(self, images: Tensor, chance: Chance) -> tuple[Tensor, Tensor]:
        """(features, class logits) of pictures, each moved a little."""
        shown = shift(images, chance, self.settings.reach, background=-1.0)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.settings.bfloat16):
            features = self.critic.features(shown.contiguous(memory_format=torch.channels_last))
            logits: Tensor = self.critic.classify(features)
        return features.float(), logits.float()

    @staticmethod
    def _step(optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        optimiser.step()


def train(
    run: TrainingRun,
    pupils: Class,
    lesson: Lesson,
    identity: dict[str, str],
    samples: Tensor,
    measure: Callable[[ClassCritic], dict[str, float]],
) -> Outcome:
    """Train until the stop rule fires or a person interrupts; the critic to keep is then `pupils.kept`.

    `identity` says what is trained, for the checkpoint; `samples` [N, D] are latents whose pictures are kept as the
    generator learns; `measure` gives figures of the averaged critic for the history.
    """
    chance = Chance(run.seed)
    parts = {**pupils.parts(), "chance": chance}
    start = run.folder.restore(parts, identity)
    step, watch = start.step, Stopwatch(start.seconds)

    def look() -> None:
        """Measure, write down what was seen, and keep a checkpoint."""
        seen = {name: value for name, value in asdict(pupils.losses).items() if not math.isnan(value)}
        run.folder.record(HistoryRow(step, watch.seconds(), seen | measure(pupils.kept)))
        pupils.generator.eval()
        with torch.no_grad():
            write_sheet(pupils.generator(samples), -1.0, 1.0, run.folder.sheets / f"step-{step:06}.png")
        pupils.generator.train()
        draw_curves(run.folder.history(), run.folder.curves)
        run.folder.save(Position(step, watch.seconds()), parts, identity)

    with run.progress() as progress:
        if start == Position():
            look()
        while (stop := run.decide(Reading(step))) is None:
            pupils.teach(lesson, chance, step / run.rule.steps)
            step += 1
            if step % pupils.settings.evaluate_every == 0 or step == run.rule.steps:
                look()
            progress.update(step, asdict(pupils.losses))
    run.folder.save(Position(step, watch.seconds()), parts, identity)
    return Outcome(stop, Position(step, watch.seconds()))


def taught(pupils: Class, lesson: Lesson, steps: int, seed: int) -> ClassCritic:
    """The critic after so many steps, in evaluation mode; for comparisons, without a folder or a checkpoint."""
    chance = Chance(seed)
    for step in range(steps):
        pupils.teach(lesson, chance, step / steps)
    return pupils.kept


def _adam(network: nn.Module, rate: float, settings: SemiSupervisedSettings) -> torch.optim.Optimizer:
    return torch.optim.Adam(network.parameters(), lr=rate, betas=settings.betas, fused=True)

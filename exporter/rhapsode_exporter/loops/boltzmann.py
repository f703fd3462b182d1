"""The training loop of Boltzmann machines: persistent contrastive divergence (Tieleman 2008).

The gradient of the log-likelihood is what pairs of units do together while a picture is shown, less what they do when
the machine is left to itself. The first is exact with one hidden layer, a mean field with two; the second is seen in
chains that go on from step to step. A deep machine's layers are first taught one after the other, each by contrastive
divergence (Hinton 2002) with its input counted twice where it will be joined from both sides (Salakhutdinov & Hinton
2009).
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from rhapsode_exporter.loops.augment import shift
from rhapsode_exporter.networks.boltzmann import Machine, Units
from rhapsode_exporter.run.chance import Chance
from rhapsode_exporter.run.curves import draw_curves
from rhapsode_exporter.run.folder import HistoryRow, Position, Stateful
from rhapsode_exporter.run.sheets import write_sheet
from rhapsode_exporter.run.stop import Reading
from rhapsode_exporter.run.training import Outcome, Stopwatch, TrainingRun


@dataclass(frozen=True, slots=True)
class BoltzmannSettings:
    """How a machine is trained; `pretraining` is the share of the steps that each layer of a deep one learns alone."""

    batch: int = 100
    learning_rate: float = 0.05
    momentum: float = 0.5
    decay: float = 2e-4
    chain_steps: int = 1
    mean_field: int = 8
    reach: int = 1
    pretraining: float = 0.0
    evaluate_every: int = 1000


@dataclass(frozen=True, slots=True)
class Digits:
    """Pictures [N, 1, 28, 28] in [0, 1], each pixel's probability to be lit, and their classes [N]."""

    images: Tensor
    labels: Tensor


class _Lesson:
    """The state of a training between two steps."""

    def __init__(self, machine: Machine, digits: Digits, settings: BoltzmannSettings, seed: int) -> None:
        self.machine, self.digits, self.settings, self.chance = machine, digits, settings, Chance(seed)
        classes = machine.pixel_bias.shape[0]
        flat = digits.images.flatten(1)
        means = torch.stack([flat[digits.labels == each].mean(dim=0) for each in range(classes)])
        machine.begin(means, self.chance.generator)
        self.labels = torch.arange(settings.batch) % classes
        self.chains = self._drawn(torch.full((settings.batch, machine.weight.shape[1]), 0.5))
        self.optimiser = torch.optim.SGD(machine.parameters(), lr=settings.learning_rate, momentum=settings.momentum)
        self.error = float("nan")

    def state_dict(self) -> dict[str, Tensor]:
        return {"chains": self.chains, "error": torch.tensor(self.error)}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        self.chains, self.error = state["chains"], float(state["error"])

    def parts(self) -> dict[str, Stateful]:
        """What a checkpoint holds."""
        return {"machine": self.machine, "optimiser": self.optimiser, "chance": self.chance, "lesson": self}

    def step(self, step: int, steps: int) -> None:
        """One step of the layer whose turn it is, or of all layers together."""
        settings = self.settings
        for group in self.optimiser.param_groups:
            group["lr"] = settings.learning_rate * max(0.02, 1.0 - step / steps)
        rows = self.chance.rows(len(self.digits.labels), settings.batch)
        images, labels = self.digits.images[rows], self.digits.labels[rows]
        pixels = self._drawn(shift(images, self.chance, settings.reach, background=0.0).flatten(1))
        alone = int(settings.pretraining * steps)
        if step < alone:
            self._learn_lower(pixels, labels)
        elif step < 2 * alone:
            self._learn_upper(pixels, labels)
        else:
            self._learn(pixels, labels)

    def _learn_lower(self, pixels: Tensor, labels: Tensor) -> None:
        """CD-1 of the lower layer; the pixels count twice, in the place of the layer above."""
        machine = self.machine

        def hidden_of(pixels: Tensor) -> Tensor:
            return torch.sigmoid(2.0 * (pixels @ machine.weight) + machine.hidden_bias)

        shown = hidden_of(pixels)
        again = machine.pixels_of(self._drawn(shown), labels)
        self.error = float((again - pixels).square().mean())
        seen = self._drawn(again)
        nothing = shown[:, :0]
        self._move(Units(pixels, shown, nothing), labels, Units(seen, hidden_of(seen), nothing), labels)

    def _learn_upper(self, pixels: Tensor, labels: Tensor) -> None:
        """CD-1 of the upper layer on what the lower one makes of pictures; the top layer counts twice."""
        machine = self.machine
        hidden = self._drawn(torch.sigmoid(2.0 * (pixels @ machine.weight) + machine.hidden_bias))
        top = machine.top_of(hidden, labels)
        again = self._drawn(torch.sigmoid(2.0 * (self._drawn(top) @ machine.upper.T) + machine.hidden_bias))
        nothing = pixels[:, :0]
        made = Units(nothing, again, machine.top_of(again, labels))
        self._move(Units(nothing, hidden, top), labels, made, labels)

    def _learn(self, pixels: Tensor, labels: Tensor) -> None:
        """All layers together: the mean field of pictures against the chains."""
        machine = self.machine
        shown = machine.mean_field(pixels, labels, self.settings.mean_field)
        self.error = float((machine.pixels_of(shown.hidden, labels) - pixels).square().mean())
        for _ in range(self.settings.chain_steps):
            seen = self._drawn(machine.pixels_of(self.chains, self.labels))
            above = self._drawn(machine.top_of(self.chains, self.labels))
            likely = machine.hidden_of(seen, above, self.labels)
            self.chains = self._drawn(likely)
        made = Units(seen, likely, above)
        self._move(shown, labels, made, self.labels)

    def _move(self, shown: Units, labels: Tensor, made: Units, made_labels: Tensor) -> None:
        """One step up the likelihood: what is seen together in pictures, less what the machine makes of itself."""
        machine, decay = self.machine, self.settings.decay
        gradients: dict[torch.nn.Parameter, Tensor] = {}
        gradients[machine.hidden_bias] = (shown.hidden - made.hidden).mean(dim=0, keepdim=True)
        if shown.pixels.shape[1]:
            pairs = shown.pixels.T @ shown.hidden - made.pixels.T @ made.hidden
            gradients[machine.weight] = pairs / len(labels) - decay * machine.weight
            gradients[machine.pixel_bias] = _by_class(shown.pixels, labels, made.pixels, made_labels, machine)
        if shown.top.shape[1]:
            pairs = shown.hidden.T @ shown.top - made.hidden.T @ made.top
            gradients[machine.upper] = pairs / len(labels) - decay * machine.upper
            gradients[machine.class_bias] = _by_class(shown.top, labels, made.top, made_labels, machine)
        elif not machine.deep:
            gradients[machine.class_bias] = _by_class(shown.hidden, labels, made.hidden, made_labels, machine)
        for parameter in machine.parameters():
            found = gradients.get(parameter)
            parameter.grad = None if found is None else -found
        self.optimiser.step()

    def _drawn(self, probability: Tensor) -> Tensor:
        return torch.bernoulli(probability, generator=self.chance.generator)


def _by_class(shown: Tensor, labels: Tensor, made: Tensor, made_labels: Tensor, machine: Machine) -> Tensor:
    """The difference of the sums of each class [classes, N], over the number of pictures."""
    total = torch.zeros(machine.pixel_bias.shape[0], shown.shape[1])
    return (total.index_add(0, labels, shown).index_add(0, made_labels, made, alpha=-1.0)) / len(labels)


def class_offsets(log_joint: Tensor, labels: Tensor, steps: int = 200) -> Tensor:
    """What to add to each class of a log-joint [N, classes] that lacks the classes' constants: fitted to labels [N]."""
    with torch.enable_grad():
        offsets = torch.zeros(log_joint.shape[1], requires_grad=True)
        optimiser = torch.optim.Adam([offsets], lr=1.0)
        schedule = torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, 0.01, steps)
        for _ in range(steps):
            optimiser.zero_grad()
            loss = torch.nn.functional.cross_entropy(log_joint + offsets, labels)
            loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
            optimiser.step()
            schedule.step()
    return offsets.detach()


@torch.no_grad()
def train(
    run: TrainingRun,
    machine: Machine,
    digits: Digits,
    settings: BoltzmannSettings,
    identity: dict[str, str],
    draw: Callable[[Machine], Tensor],
    watch: Callable[[Tensor], dict[str, float]],
) -> Outcome:
    """Train until the stop rule fires or a person interrupts.

    `identity` says what is trained, for the checkpoint; `draw` makes pictures [N, 1, H, W] of a machine, which are kept
    as it learns and given to `watch` for a few figures.
    """
    lesson = _Lesson(machine, digits, settings, run.seed)
    start = run.folder.restore(lesson.parts(), identity)
    step, stopwatch = start.step, Stopwatch(start.seconds)

    def look() -> None:
        """Write down what was seen, and keep a checkpoint."""
        pictures = draw(machine)
        figures = {"reconstruction_error": lesson.error, **watch(pictures)}
        run.folder.record(HistoryRow(step, stopwatch.seconds(), figures))
        write_sheet(pictures, 0.0, 1.0, run.folder.sheets / f"step-{step:06}.png")
        draw_curves(run.folder.history(), run.folder.curves)
        run.folder.save(Position(step, stopwatch.seconds()), lesson.parts(), identity)

    with run.progress() as progress:
        while (stop := run.decide(Reading(step))) is None:
            lesson.step(step, run.rule.steps)
            step += 1
            if step % settings.evaluate_every == 0:
                look()
            progress.update(step, {"reconstruction_error": lesson.error})
    run.folder.save(Position(step, stopwatch.seconds()), lesson.parts(), identity)
    return Outcome(stop, Position(step, stopwatch.seconds()))

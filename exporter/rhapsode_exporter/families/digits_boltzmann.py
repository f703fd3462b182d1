"""The families digits-rbm and digits-dbm: handwritten digits by Boltzmann machines of one hidden layer and of two."""

from dataclasses import asdict, dataclass
from functools import partial

import torch
from torch import Tensor

from rhapsode.v1.bundle_pb2 import GibbsSpec, GraphRole, ImageSpec, Metric, ModelKind, StopReason
from rhapsode_exporter.bundle.draft import GOLDEN_ROWS, BundleDraft, GraphDraft, Preview
from rhapsode_exporter.data.digits import CLASSES, SIDE
from rhapsode_exporter.families.base import Order
from rhapsode_exporter.families.labelled_digits import LICENCE, NAMES, LabelledPictures, labelled_digits
from rhapsode_exporter.families.records import as_text, training_record
from rhapsode_exporter.judge.classifier import judge, probabilities
from rhapsode_exporter.judge.digits import DigitJudge
from rhapsode_exporter.loops.boltzmann import BoltzmannSettings, Digits, class_offsets, train
from rhapsode_exporter.networks.bayes import BayesCritic, BayesDecoder, count_pixels, lit
from rhapsode_exporter.networks.boltzmann import GibbsStep, Machine
from rhapsode_exporter.run.sheets import png_sheet

SHOWN, PIXELS = 100, SIDE * SIDE
LONG = 5  # times the usual steps: where chains end that are left to themselves


@dataclass(frozen=True, slots=True)
class Size:
    """How many units a machine has, how long it learns, how long its chains are, and on how many it is judged."""

    hidden: int
    top: int
    steps: int
    chain: int
    judged: int
    training: BoltzmannSettings


RBM = Size(hidden=256, top=0, steps=12_000, chain=200, judged=1_000, training=BoltzmannSettings())
DBM = Size(hidden=256, top=128, steps=12_000, chain=400, judged=1_000, training=BoltzmannSettings(pretraining=0.15))
QUICK_RBM = Size(64, 0, 800, 50, 300, BoltzmannSettings(evaluate_every=400))
QUICK_DBM = Size(64, 32, 800, 50, 300, BoltzmannSettings(pretraining=0.15, evaluate_every=400))


class DigitsBoltzmann:
    """What both machines have in common."""

    schedules: tuple[str, ...] = ()
    measures_error = False

    def __init__(self, name: str, description: str, layers: str, full: Size, quick: Size) -> None:
        self.name = name
        self.description = f"{description} of 28×28 handwritten digits by class, drawn by Gibbs sampling"
        self._layers = layers
        self._full, self._quick = full, quick

    def train(self, order: Order) -> BundleDraft | None:
        """Train, have chains judged by a classifier of real digits, and describe one step of a chain."""
        size = self._quick if order.quick else self._full
        digits = labelled_digits(
            order, self.name, "each pixel as likely to be lit as it is bright, shifted by up to one"
        )
        shape = {"hidden": size.hidden, "top": size.top}
        settings = as_text(asdict(size.training) | shape | {"data": digits.record.sha256})
        machine = Machine(PIXELS, size.hidden, size.top, CLASSES)
        real = Digits(digits.training, digits.labels)
        draw = partial(_draw, SHOWN, size.chain, 0)
        watch = partial(_watch, digits.judge)
        run = order.open_run(self.name, order.stop_rule(size.steps))
        identity = settings | {"seed": str(order.seed)}
        outcome = train(run, machine, real, size.training, identity, draw, watch)
        if outcome.stop.reason == StopReason.STOP_REASON_INTERRUPTED:
            return None
        order.console.print(f"running {size.judged:,} chains to judge")
        return BundleDraft(
            name=self.name,
            kind=ModelKind.MODEL_KIND_BOLTZMANN,
            description="Handwritten digits of 28×28 grey pixels, of a class that can be asked for, drawn by a chain "
            f"of Gibbs steps of a Boltzmann machine with {self._layers}. A picture is the probabilities of its pixels.",
            licence=LICENCE,
            graphs=(_graph(machine),),
            training=training_record(digits.record, settings, order.seed, outcome),
            metrics=_figures(machine, digits, size),
            preview=Preview("preview.png", png_sheet(draw(machine), 0.0, 1.0)),
            image=ImageSpec(height=SIDE, width=SIDE, channels=1, low=0.0, high=1.0),
            classes=NAMES,
            gibbs=GibbsSpec(
                state_size=size.hidden,
                noise_size=PIXELS + size.top + size.hidden,
                default_steps=size.chain,
                start=[0.0] * size.hidden,
            ),
        )


class DigitsRbm(DigitsBoltzmann):
    """Restricted: one hidden layer."""

    def __init__(self) -> None:
        super().__init__(
            "digits-rbm", "restricted Boltzmann machine", f"one hidden layer of {RBM.hidden} units", RBM, QUICK_RBM
        )


class DigitsDbm(DigitsBoltzmann):
    """Deep: two hidden layers."""

    def __init__(self) -> None:
        layers = f"two hidden layers of {DBM.hidden} and {DBM.top} units"
        super().__init__("digits-dbm", "deep Boltzmann machine", layers, DBM, QUICK_DBM)


@torch.no_grad()
def _graph(machine: Machine) -> GraphDraft:
    """The step graph; its goldens are chains under way."""
    generator, step = torch.Generator().manual_seed(2), GibbsStep(machine, SIDE)
    labels = torch.arange(GOLDEN_ROWS) % CLASSES
    state = torch.zeros(GOLDEN_ROWS, machine.weight.shape[1])
    for _ in range(10):
        uniform = torch.rand(GOLDEN_ROWS, sum(step.sizes), generator=generator)
        before, (state, _) = state, step(state, uniform, labels)
    inputs = {"state": before, "uniform": uniform, "class_id": labels}
    return GraphDraft(GraphRole.GRAPH_ROLE_GIBBS, step, inputs, ("next_state", "image"))


@torch.no_grad()
def _draw(count: int, steps: int, seed: int, machine: Machine) -> Tensor:
    """Pictures [count, 1, 28, 28] after so many steps of chains of their own, the classes in turn.

    A chain begins with no hidden unit on, so that its first picture is drawn from the pixels' biases alone: near the
    mean picture of its class.
    """
    generator, step = torch.Generator().manual_seed(seed), GibbsStep(machine, SIDE)
    labels = torch.arange(count) % CLASSES
    state, pictures = torch.zeros(count, machine.weight.shape[1]), torch.empty(0)
    for _ in range(steps):
        state, pictures = step(state, torch.rand(count, sum(step.sizes), generator=generator), labels)
    return pictures


def _watch(digit_judge: DigitJudge, pictures: Tensor) -> dict[str, float]:
    asked = torch.arange(len(pictures)) % CLASSES
    said = probabilities(digit_judge.classifier, pictures)
    return {
        "asked_class_share": float((said.argmax(dim=1) == asked).double().mean()),
        "confident_share": judge(digit_judge.classifier, pictures).confident,
    }


@torch.no_grad()
def _figures(machine: Machine, digits: LabelledPictures, size: Size) -> tuple[Metric, ...]:
    asked = torch.arange(size.judged) % CLASSES
    pictures = _draw(size.judged, size.chain, 1, machine)
    table = count_pixels(lit(digits.training), digits.labels, CLASSES)
    noise = 2.0 * torch.rand(size.judged, PIXELS, generator=torch.Generator().manual_seed(1)) - 1.0
    simpler = judge(digits.judge.classifier, BayesDecoder(table, SIDE)(noise, asked)).confident
    late = _draw(size.judged // LONG, LONG * size.chain, 2, machine)
    figures = (
        *digits.judge.figures(pictures, asked),
        _share(
            "confident_share_beside_bayes",
            judge(digits.judge.classifier, pictures).confident,
            simpler,
            "pictures by naive Bayes",
            "confident_share once more, beside that of the simplest model of the same digits",
        ),
        _share(
            f"asked_class_share_after_{LONG * size.chain}_steps",
            _watch(digits.judge, late)["asked_class_share"],
            0.1,
            "guessing",
            f"asked_class_share of chains that are {LONG} times as long: whether they stay with digits",
        ),
    )
    return figures if machine.deep else (*figures, _accuracy(machine, digits, table))


def _accuracy(machine: Machine, digits: LabelledPictures, table: Tensor) -> Metric:
    offsets = class_offsets(machine.log_joint(digits.training.flatten(1)), digits.labels)
    named = (machine.log_joint(digits.held_out.flatten(1)) + offsets).argmax(dim=1)
    _, simpler = BayesCritic(table, torch.full((CLASSES,), 1.0 / CLASSES))(digits.held_out)
    right = float((named == digits.held_out_labels).double().mean())
    baseline = float((simpler.argmax(dim=1) == digits.held_out_labels).double().mean())
    what = "share of held-out digits whose class has the least free energy, less a constant of the class (its unknown "
    what += "partition function) that was fitted to the training digits"
    return _share("accuracy_share", right, baseline, "naive Bayes", what)


def _share(name: str, value: float, baseline: float, baseline_name: str, description: str) -> Metric:
    return Metric(
        name=name,
        value=value,
        higher_is_better=True,
        baseline=baseline,
        baseline_name=baseline_name,
        description=description,
    )

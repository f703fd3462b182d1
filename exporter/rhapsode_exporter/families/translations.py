"""What the picture-to-picture families train and export alike."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

import torch
from torch import Tensor, nn

from rhapsode.v1.bundle_pb2 import DataSet, GraphRole, ImageSpec, Metric, ModelKind, StopReason
from rhapsode_exporter.bundle.draft import GOLDEN_ROWS, BundleDraft, GraphDraft, Preview
from rhapsode_exporter.families.base import Order
from rhapsode_exporter.families.records import as_text, has_bfloat16, training_record
from rhapsode_exporter.loops.translation import Lessons, Pairs, TranslationSettings, answers, train
from rhapsode_exporter.networks.translator import PatchCritic, UNet
from rhapsode_exporter.run.sheets import beside, png_sheet

SHOWN = 40


@dataclass(frozen=True, slots=True)
class Size:
    """How large the networks are, and how long they learn."""

    width: int
    critic_width: int
    steps: int
    training: TranslationSettings


FULL = Size(width=16, critic_width=32, steps=6_000, training=TranslationSettings())
QUICK = Size(
    width=8, critic_width=8, steps=300, training=TranslationSettings(warm_up=30, average_decay=0.97, evaluate_every=100)
)


@dataclass(frozen=True, slots=True)
class Subject:
    """What a network is to turn into what: pairs to learn from and to be measured on, and what a card says of them.

    `figures` measures what the network made of the held-out pairs: (made, pairs) → metrics.
    """

    lessons: Lessons
    held_out: Pairs
    record: DataSet
    description: str
    # Of the weights: an SPDX identifier where the pictures have one.
    licence: str
    identity: str
    figures: Callable[[Tensor, Pairs], tuple[Metric, ...]]


def train_translation(name: str, subject: Subject, order: Order) -> BundleDraft | None:
    """Train a U-Net on the subject, measure it, and describe it; None where the user interrupted."""
    size = QUICK if order.quick else FULL
    settings = replace(size.training, bfloat16=has_bfloat16())
    shape = {"width": size.width, "critic_width": size.critic_width}
    identity = as_text(asdict(settings) | shape | {"data": subject.identity})
    torch.manual_seed(order.seed)
    network, critic = UNet(size.width), PatchCritic(size.critic_width)
    run = order.open_run(name, order.stop_rule(size.steps))
    trained = train(run, network, critic, subject.lessons, settings, identity | {"seed": str(order.seed)})
    if trained.outcome.stop.reason == StopReason.STOP_REASON_INTERRUPTED:
        return None
    made = answers(trained.network, subject.held_out.given)
    return BundleDraft(
        name=name,
        kind=ModelKind.MODEL_KIND_TRANSFORM,
        description=subject.description,
        licence=subject.licence,
        graphs=(_graph(trained.network, subject.held_out.given),),
        training=training_record(subject.record, identity, order.seed, trained.outcome, ("pillow",)),
        metrics=subject.figures(made, subject.held_out),
        preview=Preview("preview.png", _sheet(subject.held_out, made)),
        image=ImageSpec(height=made.shape[2], width=made.shape[3], channels=1, low=0.0, high=1.0),
    )


def _graph(network: nn.Module, given: Tensor) -> GraphDraft:
    golden = given[torch.arange(GOLDEN_ROWS) % len(given)]
    return GraphDraft(GraphRole.GRAPH_ROLE_TRANSFORM, network, {"image": golden}, ("transformed",))


def _sheet(pairs: Pairs, made: Tensor) -> bytes:
    """A row of what was given, below it what was made, below it what was wanted."""
    return png_sheet(beside(pairs.given[:SHOWN], made[:SHOWN], pairs.wanted[:SHOWN]), 0.0, 1.0)

"""The named directions of faces-vae: fitted to pairs of faces, each with a strength and held-out figures."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from rhapsode.v1.bundle_pb2 import Metric
from rhapsode_exporter.bundle.draft import AttributeDraft
from rhapsode_exporter.data.face_attributes import DESCRIPTIONS, NAMES, pairs
from rhapsode_exporter.families.faces_source import Labels, Source, as_pictures
from rhapsode_exporter.judge.attributes import (
    AttributeClassifier,
    Success,
    balanced_accuracy,
    seen,
    success,
    train_judge,
)
from rhapsode_exporter.loops.directions import Side, fit_direction
from rhapsode_exporter.networks.vae import Autoencoder
from rhapsode_exporter.run.chance import Chance

STRENGTHS = tuple(0.5 + 0.125 * step for step in range(21))
JUDGED = range(3)  # glasses, hat and beard: what an edit of another attribute must leave as it is
FEW = (1, 10, 100)
DRAWS = 10  # of a few pairs, since one pair may be lucky


@dataclass(frozen=True, slots=True)
class Effort:
    """How many pairs a direction is fitted to and in how many steps, and how long the judge learns."""

    pairs: int
    judge_steps: int
    fit_steps: int


@dataclass(frozen=True, slots=True)
class Directions:
    """Directions with their own figures, and those that speak of all of them."""

    attributes: tuple[AttributeDraft, ...]
    metrics: tuple[Metric, ...]


def directions(network: Autoencoder, source: Source, labels: Labels, effort: Effort) -> Directions:
    """Fit a direction to every attribute, choose its strength on validation faces, and measure it on held-out ones."""
    judge = train_judge(source.training, labels.training, effort.judge_steps)
    paired = {name: _sides(network, name, effort.pairs) for name in NAMES}
    court = Court(network, judge, network.encode(source.validation), labels.validation)
    final = Court(network, judge, network.encode(source.held_out), labels.held_out)
    real = balanced_accuracy(seen(judge, source.held_out), labels.held_out)
    rebuilt = balanced_accuracy(seen(judge, network.decode(final.latents)), labels.held_out)
    drafts = []
    for column, name in enumerate(NAMES):
        vector = fit_direction(network, *paired[name], steps=effort.fit_steps)
        strength = max(STRENGTHS, key=lambda strength: court.hear(column, vector * strength).worst)
        found = final.hear(column, vector * strength)
        metrics = tuple(_own_figures(found, real[column], rebuilt[column]))
        drafts.append(AttributeDraft(name, DESCRIPTIONS[name], vector, strength, metrics))
    return Directions(tuple(drafts), tuple(_figures_of_few(final, drafts, paired)))


@dataclass(frozen=True, slots=True)
class Court:
    """A judge with the faces that edits are tried on."""

    network: Autoencoder
    judge: AttributeClassifier
    latents: Tensor
    labels: Tensor

    def hear(self, column: int, move: Tensor) -> Success:
        """What a move does to an attribute."""
        return success(self.judge, self.network.decode, self.latents, self.labels, column, move, JUDGED)


def _sides(network: Autoencoder, name: str, count: int) -> tuple[Side, Side]:
    """The first faces of the training set without the attribute, and the same with it."""
    drawn = pairs(name, range(count))
    absent, present = as_pictures(drawn.absent), as_pictures(drawn.present)
    return Side(absent, network.encode(absent)), Side(present, network.encode(present))


def _own_figures(found: Success, real: float, rebuilt: float) -> Iterator[Metric]:
    yield _share("added_share", found.added, "held-out faces without it on which the judge sees it once it is added")
    yield _share("removed_share", found.removed, "held-out faces with it on which the judge sees none once it is gone")
    yield _share(
        "kept_share",
        found.kept,
        "least share of those faces on which the judge still sees, or still does not see, another one of glasses, hat "
        "and beard",
    )
    yield _share("judge_accuracy_real", real, "balanced accuracy of the judge on held-out faces", chance=True)
    yield _share("judge_accuracy_reconstructed", rebuilt, "the same on their reconstructions", chance=True)


def _share(name: str, value: float, description: str, *, chance: bool = False) -> Metric:
    metric = Metric(name=name, value=value, higher_is_better=True, description=description)
    if chance:
        metric.baseline, metric.baseline_name = 0.5, "guessing"
    return metric


def _figures_of_few(
    court: Court, drafts: list[AttributeDraft], paired: Mapping[str, tuple[Side, Side]]
) -> Iterator[Metric]:
    """Success of directions that FitAttribute gives for a few pairs, made as long as the stored ones."""
    for count in FEW:
        shares = [
            (found.added + found.removed) / 2.0
            for column in JUDGED
            for vector in _fitted_to_few(*paired[NAMES[column]], count)
            for found in (court.hear(column, vector * _length(drafts[column]) / vector.norm()),)
        ]
        yield Metric(
            name=f"edit_success_{count}_pairs",
            value=float(np.mean(shares)),
            higher_is_better=True,
            description=f"share of held-out faces on which the mean difference of {count} pair{'s' * (count > 1)} of "
            "faces (FitAttribute), made as long as the stored edit, adds or removes glasses, hat or beard; mean of "
            f"{DRAWS} draws of pairs",
        )


def _length(draft: AttributeDraft) -> float:
    """How far the edit goes that a request asks for by name."""
    return float(draft.vector.norm()) * draft.strength


def _fitted_to_few(absent: Side, present: Side, count: int) -> Iterator[Tensor]:
    chance = Chance(count)
    changes = present.latents - absent.latents
    for _ in range(DRAWS):
        yield changes[torch.randperm(len(changes), generator=chance.generator)[:count]].mean(dim=0)

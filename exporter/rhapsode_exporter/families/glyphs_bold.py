"""The family glyphs-bold: letters turned into the bold ones of their typeface."""

from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rhapsode.v1.bundle_pb2 import DataSet, Metric
from rhapsode_exporter.bundle.draft import BundleDraft
from rhapsode_exporter.data import glyphs
from rhapsode_exporter.errors import DataUnavailableError
from rhapsode_exporter.families.base import Order
from rhapsode_exporter.families.translations import Subject, train_translation
from rhapsode_exporter.judge.translation import best_dilation, mean_distance
from rhapsode_exporter.loops.augment import shift
from rhapsode_exporter.loops.translation import Lessons, Pairs
from rhapsode_exporter.run.chance import Chance

# Every pair is moved by up to so many pixels, both pictures alike.
REACH = 1
LICENCE = "Bitstream-Vera"


class GlyphsBold:
    """pix2pix from a letter to the same letter in bold."""

    name = "glyphs-bold"
    description = "makes 28×28 letters bold, learnt from the DejaVu typefaces"
    schedules: tuple[str, ...] = ()
    measures_error = True

    def train(self, order: Order) -> BundleDraft | None:
        """Train on most characters, and compare with thickened strokes on the others."""
        if order.data is not None:
            raise DataUnavailableError(f"{self.name} draws its own pairs; leave --data out")
        return train_translation(self.name, _subject(), order)


def _subject() -> Subject:
    cut = glyphs.load()
    training = _pairs(cut.training)
    both = torch.cat([training.given, training.wanted], dim=1)
    count = len(cut.training) + len(cut.validation) + len(cut.held_out)
    return Subject(
        lessons=Lessons(partial(_draw, both), _pairs(cut.validation)),
        held_out=_shuffled(_pairs(cut.held_out)),
        record=DataSet(
            name=f"{count:,} letters and digits of six DejaVu faces (matplotlib's), each without and with bold",
            licence=f"{LICENCE} (DejaVu)",
            held_out=f"{len(cut.held_out)} glyphs of characters that look like none in training",
        ),
        description="Makes letters and digits of 28×28 grey pixels, white on black, bold: sans, mono and "
        "serif, upright and slanted.",
        licence=LICENCE,
        identity=f"DejaVu at {glyphs.POINTS}, shifted by {REACH}",
        figures=_figures,
    )


def _draw(both: Tensor, count: int, chance: Chance) -> Pairs:
    moved = shift(both[chance.rows(len(both), count)], chance, REACH, 0.0)
    return Pairs(moved[:, :1], moved[:, 1:])


def _pairs(drawn: glyphs.Glyphs) -> Pairs:
    return Pairs(_tensor(drawn.plain), _tensor(drawn.bold))


def _shuffled(pairs: Pairs) -> Pairs:
    """The same pairs, so that the first of them are of all faces."""
    order = torch.randperm(len(pairs.given), generator=torch.Generator().manual_seed(0))
    return Pairs(pairs.given[order], pairs.wanted[order])


def _tensor(images: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(images)[:, None].float().div(255.0)


def _figures(made: Tensor, pairs: Pairs) -> tuple[Metric, ...]:
    dilated = best_dilation(pairs)
    untouched = mean_distance(pairs.given, pairs.wanted)
    beside = ((untouched, "the letter as it was given", "input"), (dilated.value, dilated.words, "dilation"))
    return tuple(
        Metric(
            name=f"held_out_distance_beside_{name}",
            value=mean_distance(made, pairs.wanted),
            higher_is_better=False,
            baseline=baseline,
            baseline_name=words,
            description="mean absolute difference from the true bold, pixels in 0…1, over glyphs of characters that "
            "were held out",
        )
        for baseline, words, name in beside
    )

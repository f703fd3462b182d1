"""The family digits-restore: noise and holes taken away from handwritten digits."""

from torch import Tensor

from rhapsode.v1.bundle_pb2 import DataSet, Metric
from rhapsode_exporter.bundle.draft import BundleDraft
from rhapsode_exporter.data.damage import HOLES, NOISE, SIDE, damage
from rhapsode_exporter.families.base import Order
from rhapsode_exporter.families.digits_source import Source, mnist, own_pictures
from rhapsode_exporter.families.translations import Subject, train_translation
from rhapsode_exporter.judge.pictures import mean_psnr
from rhapsode_exporter.judge.translation import best_median
from rhapsode_exporter.loops.translation import Lessons, Pairs
from rhapsode_exporter.run.chance import Chance

# What is done to the pictures that measure is the same in every run.
DAMAGE_SEED = 20161106
VALIDATION = 500


class DigitsRestore:
    """pix2pix from damaged to clean digits; by default of MNIST's."""

    name = "digits-restore"
    description = "mends noise and holes in 28×28 handwritten digits (or --data: your own folder of pictures)"
    schedules: tuple[str, ...] = ()
    measures_error = True

    def train(self, order: Order) -> BundleDraft | None:
        """Train on fresh damage in every step, and compare with a median filter on held-out digits."""
        source = mnist(order.cache, 0) if order.data is None else own_pictures(order.data)
        return train_translation(self.name, _subject(source, order), order)


def _subject(source: Source, order: Order) -> Subject:
    clean, held_out = _unit(source.training), _unit(source.held_out)
    chance = Chance(DAMAGE_SEED)
    share = min(VALIDATION, len(clean) // 10)
    training, validation = clean[share:], clean[:share]

    def draw(count: int, by: Chance) -> Pairs:
        wanted = training[by.rows(len(training), count)]
        return Pairs(damage(wanted, by), wanted)

    what = "handwritten digits" if order.data is None else f"pictures in the manner of {order.data.name}"
    return Subject(
        lessons=Lessons(draw, Pairs(damage(validation, chance), validation)),
        held_out=Pairs(damage(held_out, chance), held_out),
        record=DataSet(
            name=f"{source.record.name.split(', shifted')[0]}; damaged afresh in every step",
            licence=source.record.licence,
            sha256=source.record.sha256,
            held_out=source.record.held_out,
        ),
        description=f"Mends {what} of 28×28 grey pixels: takes away noise of deviation {NOISE:g} and fills {HOLES} "
        f"black squares of {SIDE}×{SIDE} pixels.",
        licence=source.licence,
        identity=f"{source.identity} damaged by {NOISE:g}, {HOLES} of {SIDE}",
        figures=_figures,
    )


def _figures(made: Tensor, pairs: Pairs) -> tuple[Metric, ...]:
    median = best_median(pairs)
    return (
        Metric(
            name="held_out_psnr_db",
            value=mean_psnr(made, pairs.wanted),
            higher_is_better=True,
            baseline=median.value,
            baseline_name=median.words,
            description="mean over held-out pictures, each damaged once, of the mended picture's peak signal-to-noise "
            f"ratio; the damaged ones have {mean_psnr(pairs.given, pairs.wanted):.2f} dB",
        ),
    )


def _unit(images: Tensor) -> Tensor:
    """Pictures in [-1, 1] as ones in [0, 1]."""
    return images.add(1.0).div(2.0)

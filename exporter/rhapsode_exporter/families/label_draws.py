"""How far the accuracy of digits-critic is luck: the whole experiment again with other labels.

`python -m rhapsode_exporter.families.label_draws models/digits-critic/1` adds what it finds to that bundle's figures.
The bundle's own labels are the first draw; the others have the seeds that follow its own.
"""

import os
import statistics
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from rich.console import Console

from rhapsode.v1.bundle_pb2 import Bundle, Metric
from rhapsode_exporter.bundle.figures import put_figures
from rhapsode_exporter.bundle.read import read_bundle
from rhapsode_exporter.data.archives import cache_folder
from rhapsode_exporter.errors import BundleUnreadableError
from rhapsode_exporter.families.digits_critic import FULL, Size, compare, pupils_of, read
from rhapsode_exporter.families.records import has_bfloat16
from rhapsode_exporter.judge.few_labels import Accuracies
from rhapsode_exporter.loops.semi_supervised import taught
from rhapsode_exporter.run.report import say, say_figures

DRAWS = 5


def draw(cache: Path, size: Size, seed: int) -> Accuracies:
    """The accuracies after one draw of the labels, as the family's own training with this seed gives them."""
    material = read(cache, seed)
    settings = replace(size.settings, bfloat16=has_bfloat16())
    critic = taught(pupils_of(size.width, settings, seed), material.lesson, size.steps, seed)
    return compare(critic, material, settings, size.width, size.steps, seed)


def own_draw(manifest: Bundle) -> Accuracies:
    """What the bundle says of itself. Raises BundleUnreadableError where it lacks a figure."""
    values = {metric.name: metric.value for metric in manifest.metrics}
    try:
        return Accuracies(
            semi_supervised=values["held_out_accuracy_share"],
            supervised=values["supervised_accuracy_share"],
            probe=values["linear_probe_accuracy_share"],
        )
    except KeyError as error:
        raise BundleUnreadableError(f"{manifest.name} has no figure {error}; train it with digits-critic") from error


def summary(draws: Sequence[Accuracies]) -> tuple[Metric, ...]:
    """The means of all draws, with their spread in words."""
    game, alone = [one.semi_supervised for one in draws], [one.supervised for one in draws]
    gains = [100 * (one.semi_supervised - one.supervised) for one in draws]
    count = f"mean of {len(draws)} draws of the labels"
    return (
        Metric(
            name="mean_held_out_accuracy_share",
            value=statistics.fmean(game),
            higher_is_better=True,
            baseline=statistics.fmean(alone),
            baseline_name="the same network taught by the labels alone, mean of the same draws",
            description=f"share of held-out digits that the critic names rightly, {count}; {_spread(game, 4)}",
        ),
        Metric(
            name="accuracy_gain_points",
            value=statistics.fmean(gains),
            higher_is_better=True,
            baseline=0.0,
            baseline_name="the same network taught by the labels alone",
            description=f"percentage points of held-out accuracy that the game adds, {count}; {_spread(gains, 2)}",
        ),
    )


def _spread(values: Sequence[float], digits: int) -> str:
    deviation = statistics.stdev(values)
    return f"standard deviation {deviation:.{digits}f}, {min(values):.{digits}f} to {max(values):.{digits}f}"


def measure(folder: Path, cache: Path, size: Size, console: Console, draws: int = DRAWS) -> None:
    """Repeat the experiment and add the means to the bundle in `folder`."""
    manifest = read_bundle(folder).manifest
    found = [own_draw(manifest)]
    for seed in range(manifest.training.seed + 1, manifest.training.seed + draws):
        found.append(draw(cache, size, seed))
        say(console, f"seed {seed}: {found[-1]}")
    metrics = summary(found)
    put_figures(read_bundle(folder), metrics)
    say_figures(console, metrics)


if __name__ == "__main__":
    torch.set_num_threads(1)
    measure(Path(sys.argv[1]), cache_folder(os.environ), FULL, Console())

"""The figures of what a bundle draws: sets of pictures of several sampling seeds beside held-out real ones."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

import numpy as np

from rhapsode_exporter.data.real import Floats, Real
from rhapsode_exporter.evaluation.metric import Baseline, Finding, figure
from rhapsode_exporter.evaluation.observer import Observer
from rhapsode_exporter.judge import independent_pixels
from rhapsode_exporter.judge.coverage import LEAST, covered, largest_gap
from rhapsode_exporter.judge.frechet import frechet_distance
from rhapsode_exporter.judge.fresh_critic import Pair, fresh_critic_accuracy
from rhapsode_exporter.judge.novelty import COPIES, novelty
from rhapsode_exporter.judge.precision_recall import NEIGHBOUR, precision_recall


@dataclass(frozen=True, slots=True, eq=False)
class Sets:
    """As many generated pictures [N, C, H, W] of every seed, and as many real ones, held out and of the training."""

    made: tuple[Floats, ...]
    seeds: tuple[int, ...]
    held_out: Floats
    training: Floats


def sets_of(made: Sequence[Floats], seeds: Sequence[int], real: Real) -> Sets:
    """The real pictures cut to the number of the generated ones."""
    count = len(made[0])
    return Sets(tuple(made), tuple(seeds), real.held_out[:count], real.training[:count])


def figures(sets: Sets, real: Real, observer: Observer | None) -> Iterator[Finding]:
    """All figures of generated pictures; those of an observer's eyes only where there is one."""
    if observer is not None:
        yield from _distances(sets, real, observer)
        yield from _precision_recall(sets, observer)
        yield from (_classes if observer.labels.exclusive else _traits)(sets, observer)
    yield _fresh_critic(sets, real)
    yield from _novelty(sets, real)


def _distances(sets: Sets, real: Real, observer: Observer) -> Iterator[Finding]:
    held_out = observer.features(sets.held_out)
    found = [frechet_distance(observer.features(made), held_out) for made in sets.made]
    labels = observer.labels.training if observer.labels.exclusive else None
    simple = [independent_pixels.draw(real.training, labels, len(sets.held_out), seed) for seed in sets.seeds]
    baseline = fmean(frechet_distance(observer.features(images), held_out) for images in simple)
    words = f"{len(sets.held_out):,} pictures and as many {real.words}"
    yield figure(
        "frechet_distance",
        found,
        f"Fréchet distance between {words} in the features of {observer.words}",
        Baseline(baseline, f"naive Bayes{' by class' if labels is not None else ''}: every pixel drawn by itself"),
    )
    yield figure(
        "frechet_distance_spread",
        [stdev(found)],
        f"standard deviation of the figure above over {len(found)} sampling seeds",
    )
    yield figure(
        "frechet_distance_of_real",
        [frechet_distance(observer.features(sets.training), held_out)],
        "the same distance of as many real pictures of the training: the floor that the smallness of the sets leaves",
    )


def _precision_recall(sets: Sets, observer: Observer) -> Iterator[Finding]:
    held_out = observer.features(sets.held_out)
    found = [precision_recall(observer.features(made), held_out) for made in sets.made]
    real = precision_recall(observer.features(sets.training), held_out)
    ball = f"the balls of {NEIGHBOUR} nearest neighbours around"
    yield figure(
        "precision_share",
        [each.precision for each in found],
        f"share of pictures that lie within {ball} real ones, in the same features",
        Baseline(real.precision, "real pictures of the training"),
        higher_is_better=True,
    )
    yield figure(
        "recall_share",
        [each.recall for each in found],
        f"share of real pictures that lie within {ball} generated ones, in the same features",
        Baseline(real.recall, "real pictures of the training"),
        higher_is_better=True,
    )


def _classes(sets: Sets, observer: Observer) -> Iterator[Finding]:
    found = [observer.shares(made) for made in sets.made]
    real = observer.shares(sets.held_out)
    yield figure(
        "covered_classes",
        [float(covered(shares)) for shares in found],
        f"classes, of {len(real)}, with at least {LEAST:.0%} of an even share among the pictures, as the classifier "
        "names them",
        Baseline(float(covered(real)), "held-out real pictures"),
        higher_is_better=True,
    )
    yield figure(
        "commonest_class_share",
        [float(shares.max()) for shares in found],
        f"share of the class that is named most often (even: {1 / len(real):.0%})",
        Baseline(float(real.max()), "held-out real pictures"),
    )


def _traits(sets: Sets, observer: Observer) -> Iterator[Finding]:
    real, taught = observer.shares(sets.held_out), observer.shares(sets.training)
    yield figure(
        "trait_share_gap",
        [largest_gap(observer.shares(made), real) for made in sets.made],
        f"largest difference between the share of generated and of held-out pictures with one of {len(real)} traits "
        f"({', '.join(observer.labels.names)})",
        Baseline(largest_gap(taught, real), "real pictures of the training"),
    )


def _fresh_critic(sets: Sets, real: Real) -> Finding:
    return figure(
        "fresh_critic_accuracy_share",
        [_told_apart(sets, real, place) for place in range(len(sets.made))],
        "share of held-out real pictures and of generated ones that a critic tells apart which learnt from other "
        "pictures of both kinds and never met the generator; 50 % is the equilibrium of the game",
        Baseline(0.5, "guessing"),
    )


def _told_apart(sets: Sets, real: Real, place: int) -> float:
    """The pictures of one seed are held out from the critic, which learns from those of the others."""
    others = np.concatenate([made for number, made in enumerate(sets.made) if number != place])
    known = np.random.default_rng(sets.seeds[place]).permutation(len(real.training))[: len(others)]
    training, held_out = Pair(real.training[known], others), Pair(sets.held_out, sets.made[place])
    return fresh_critic_accuracy(training, held_out, seed=sets.seeds[place])


def _novelty(sets: Sets, real: Real) -> Iterator[Finding]:
    training, held_out = _flat(real.training), _flat(sets.held_out)
    found = [novelty(_flat(made), training, held_out) for made in sets.made]
    yield figure(
        "novelty_ratio",
        [each.ratio for each in found],
        "mean distance in pixels to the nearest training picture, over that of held-out pictures; 0 for a generator "
        "that repeats its training pictures",
        Baseline(1.0, "held-out real pictures"),
        higher_is_better=True,
    )
    yield figure(
        "copies_share",
        [each.copies for each in found],
        f"share of pictures nearer to a training picture than all but {COPIES:.0%} of the held-out ones are",
        Baseline(COPIES, "held-out real pictures"),
    )


def _flat(images: Floats) -> Floats:
    return images.reshape(len(images), -1)

"""Which figures a bundle has, by what its graphs do."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from rhapsode_exporter.data.real import Real
from rhapsode_exporter.errors import EvaluationRefusedError
from rhapsode_exporter.evaluation import autoencoder, critic, generated
from rhapsode_exporter.evaluation.metric import Finding
from rhapsode_exporter.evaluation.observer import teach
from rhapsode_exporter.evaluation.pictures import drawn
from rhapsode_exporter.sampling.draw import draws
from rhapsode_exporter.sampling.opened import Opened

# More pictures are not compared: distances of sets depend on their size, so every model is measured on as many.
PICTURES = 1_000
HELD_OUT = 2_000  # which is enough, and a large set has many more


def measure(
    bundle: Opened, real: Real, seeds: Sequence[int], say: Callable[[str], None], pictures: int = PICTURES
) -> tuple[Finding, ...]:
    """All figures of the bundle on held-out real pictures; `say` tells what takes long.

    At most `pictures` are drawn of each seed, and no more than were held out. Raises EvaluationRefusedError where
    there is nothing to measure.
    """
    if not draws(bundle) and not critic.judges(bundle):
        name = bundle.manifest.name
        raise EvaluationRefusedError(
            f"{name} neither draws pictures nor judges them, so there is no figure for it here"
        )
    found: list[Finding] = []
    real = first_held_out(real)
    if bundle.manifest.HasField("code"):
        say("its latents are codes of pictures, so what it makes of random ones is not judged")
    elif draws(bundle):
        found += _of_drawing(bundle, real, seeds, say, min(pictures, len(real.held_out), len(real.training)))
    if critic.reconstructs(bundle):
        found += autoencoder.figures(bundle, real, seeds)
    if critic.judges(bundle):
        found += critic.figures(bundle, real)
    return tuple(found)


def first_held_out(real: Real, count: int = HELD_OUT) -> Real:
    """The same pictures with no more than the first `count` held out, which are in no order."""
    labels = real.labels and replace(real.labels, held_out=real.labels.held_out[:count])
    return replace(real, held_out=real.held_out[:count], labels=labels)


def _of_drawing(
    bundle: Opened, real: Real, seeds: Sequence[int], say: Callable[[str], None], count: int
) -> Iterator[Finding]:
    say(f"drawing {count:,} pictures with each of {len(seeds)} seeds")
    made = [drawn(bundle, count, seed) for seed in seeds]
    say("teaching an observer what real pictures are" if real.labels else "nothing is known of the pictures' classes")
    observer = teach(real)
    say("comparing")
    yield from generated.figures(generated.sets_of(made, seeds, real), real, observer)

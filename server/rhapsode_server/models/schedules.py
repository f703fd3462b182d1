"""The ways from noise to a picture: which training steps are visited, and by which numbers each one moves.

DDIM (Song et al. 2021, equations 12 and 16) with any share of fresh noise; a share of 1 is ancestral sampling (Ho et
al. 2020). All numbers are reckoned in double precision; moving a picture is one operation after another in single
precision, each number by itself, so that its bits do not depend on what else is moved.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


def visited(training_steps: int, steps: int) -> NDArray[np.int64]:
    """The training steps that are visited, last first; evenly spaced, the very last always among them: int64 [steps].

    "Trailing" in Lin et al. 2023, who show why it is to begin where the noise is strongest.
    """
    return training_steps * np.arange(steps, 0, -1, dtype=np.int64) // steps - 1


@dataclass(frozen=True, slots=True, eq=False)
class Course:
    """Steps one after another, a row of six numbers for each, as in Moment: float32 [steps, 6]."""

    numbers: Floats

    def __len__(self) -> int:
        """How many steps there are."""
        return len(self.numbers)

    @property
    def draws(self) -> bool:
        """Whether fresh noise is needed on the way."""
        return bool(self.numbers[:, -1].any())


def course(signal: NDArray[np.float64], steps: int, eta: float) -> Course:
    """The course of so many steps under a schedule: share of the signal's power left after each training step.

    The noise that is found is read anew from the picture that was cut off, as Ho et al. do, so that it fits it.
    """
    times = visited(len(signal), steps)
    now = signal[times]
    after = np.append(now[1:], 1.0)
    fresh = eta * np.sqrt((1.0 - after) / (1.0 - now) * (1.0 - now / after))
    keep = np.sqrt(np.maximum(1.0 - after - fresh * fresh, 0.0) / (1.0 - now))
    unveil, strip = 1.0 / np.sqrt(now), np.sqrt((1.0 - now) / now)
    gain = np.sqrt(after) - keep * np.sqrt(now)
    return Course(np.stack([times, unveil, strip, gain, keep, fresh], axis=1).astype(np.float32))


@dataclass(frozen=True, slots=True, eq=False)
class Moment:
    """Where each row of a batch stands on its own course: the numbers of its next step, float32 [batch, 1].

    With the noise e that is found in x at `times`, and fresh noise z: clean = x · unveil − e · strip, cut off at the
    values of black and white; then x becomes clean · gain + x · keep + z · fresh.
    """

    times: Floats
    unveil: Floats
    strip: Floats
    gain: Floats
    keep: Floats
    fresh: Floats

    @classmethod
    def of(cls, places: Sequence[tuple[Course, int]]) -> "Moment":
        """The moment of rows by course and steps taken."""
        return cls(*np.stack([way.numbers[step] for way, step in places]).T[:, :, None])

    def clean(self, noisy: Floats, noise: Floats, low: float, high: float) -> Floats:
        """The pictures that are seen behind the noise, cut off at the values of black and white: [batch, size]."""
        seen = noisy * self.unveil - noise * self.strip
        return np.asarray(np.clip(seen, np.float32(low), np.float32(high)))

    def moved(self, noisy: Floats, clean: Floats) -> Floats:
        """The pictures after the step, without fresh noise: [batch, size]."""
        return clean * self.gain + noisy * self.keep

"""What goes wrong in a game, recognised by its figures: values in, names out."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray


class Symptom(StrEnum):
    """A way in which a game fails."""

    OSCILLATION = "oscillation"
    VANISHED_GRADIENT = "vanished_gradient"
    COLLAPSE = "collapse"


MEANING = {
    Symptom.OSCILLATION: "the generator's loss swings in a steady rhythm, so the players chase each other in circles; "
    "a bounded critic (a gradient penalty) or lower rates end it",
    Symptom.VANISHED_GRADIENT: "hardly any gradient reaches the generator, so it has stopped learning; "
    "another loss than minimax, or a weaker critic, gives it one",
    Symptom.COLLAPSE: "the generator's pictures are nearly all alike; a critic that looks at whole minibatches ends it",
}

# A gradient is gone where it is this share of the steepest seen, or this short.
GONE_SHARE, GONE_NORM = 1e-3, 1e-4
# Pictures are alike where they deviate from each other by this share of what real ones do, at two looks running.
ALIKE_SHARE = 0.25
# A rhythm is seen in so many means of losses, over one step each or over more: where these, one period later, go with
# themselves to RHYTHM and half a period later against themselves, at a swing of SWING of the loss.
POINTS, STRIDES = 128, (1, 4, 16)
RHYTHM, AGAINST, SWING = 0.5, -0.3, 0.05


@dataclass(frozen=True, slots=True)
class Checkup:
    """The length of the generator's gradient, and how much its pictures deviate as a share of what real ones do."""

    gradient: float
    diversity: float


@dataclass(slots=True)
class Watcher:
    """The memory of one game, and what it suffers from now."""

    losses: list[float] = field(default_factory=list)
    steepest: float = 0.0
    last_diversity: float = math.inf
    present: list[str] = field(default_factory=list)

    def step(self, loss: float) -> None:
        """Remember the generator's loss at one step."""
        self.losses.append(loss)
        del self.losses[: -POINTS * STRIDES[-1]]

    def look(self, checkup: Checkup) -> tuple[Symptom, ...]:
        """What the game suffers from, after the steps so far and this checkup, that it did not at the last look."""
        found = list(self._found(checkup))
        self.steepest, self.last_diversity = max(self.steepest, checkup.gradient), checkup.diversity
        fresh = tuple(symptom for symptom in found if symptom not in self.present)
        self.present = [str(symptom) for symptom in found]
        return fresh

    def _found(self, checkup: Checkup) -> Sequence[Symptom]:
        gone = checkup.gradient < max(GONE_NORM, GONE_SHARE * self.steepest)
        holds = {
            Symptom.OSCILLATION: oscillates(self.losses),
            Symptom.VANISHED_GRADIENT: gone,
            Symptom.COLLAPSE: max(checkup.diversity, self.last_diversity) < ALIKE_SHARE,
        }
        return [symptom for symptom, here in holds.items() if here]

    def state_dict(self) -> dict[str, Any]:
        """The memory."""
        return {name: getattr(self, name) for name in self.__slots__}

    def load_state_dict(self, state_dict: dict[str, Any], /) -> None:
        """Take a memory over."""
        for name, value in state_dict.items():
            setattr(self, name, value)


def oscillates(losses: Sequence[float]) -> bool:
    """Whether the latest losses swing in a steady rhythm, quick or slow; a drift, a trend or noise has none."""
    values = np.asarray(losses, dtype=np.float64)
    windows = (
        values[-POINTS * stride :].reshape(POINTS, stride).mean(axis=1) for stride in STRIDES if _full(values, stride)
    )
    return any(_swings(window) for window in windows)


def _full(values: NDArray[np.float64], stride: int) -> bool:
    return len(values) >= POINTS * stride


def _swings(window: NDArray[np.float64]) -> bool:
    steps = np.arange(len(window))
    residue = window - np.polyval(np.polyfit(steps, window, 1), steps)
    return bool(residue.std() > SWING * np.abs(window).mean() and rhythm(residue) > RHYTHM)


def rhythm(residue: NDArray[np.float64]) -> float:
    """How well a series goes with itself one period later: its highest autocorrelation behind the first deep trough.

    A period is at most a third of the series, so that it is seen to repeat; 0 where there is no trough.
    """
    energy = float(residue @ residue)
    lags = range(1, len(residue) // 3 + 1)
    correlation = [float(residue[lag:] @ residue[:-lag]) / energy for lag in lags]
    against = next((place for place, value in enumerate(correlation) if value < AGAINST), len(correlation))
    return max(correlation[against:], default=0.0)

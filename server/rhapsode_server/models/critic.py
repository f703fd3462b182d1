"""Critics: one step judges a row's picture, how real it is and of which class."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rhapsode_server.errors import NonFiniteOutput
from rhapsode_server.models.base import OneRun, Outcome, Session
from rhapsode_server.models.decoder import Pixels
from rhapsode_server.models.graph_model import Arrays, GraphModel, finite

Probabilities = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class CriticRow:
    """One picture to judge, in the model's own value range: float32 [channels, height, width]."""

    values: Pixels


@dataclass(frozen=True, slots=True, eq=False)
class Judgement:
    """How real a picture is, a logit, and the probability of each class: float32 [classes], empty without classes."""

    realness: float
    probabilities: Probabilities


class Critic(OneRun, GraphModel[CriticRow, Judgement]):
    """Judges pictures: image [batch, channels, height, width] → realness [batch], class_logits [batch, classes]."""

    def __init__(self, session: Session, classifies: bool, max_batch: int) -> None:
        super().__init__(session, max_batch)
        self._classifies = classifies

    def feeds(self, rows: Sequence[CriticRow]) -> Arrays:
        """The pictures."""
        return {"image": np.stack([row.values for row in rows])}

    def outcomes(self, rows: Sequence[CriticRow], _feeds: Arrays, results: Arrays) -> Sequence[Outcome[Judgement]]:
        """Judge every row; each is done after it."""
        realness = results["realness"]
        logits = results["class_logits"] if self._classifies else np.empty((len(rows), 0), dtype=np.float32)
        sound = finite(realness) & finite(logits)
        return [
            Outcome([Judgement(float(real), softmax(scores))], done=True, made=1)
            if fine
            else Outcome(done=True, error=NonFiniteOutput("the model gave a judgement that is not finite"))
            for real, scores, fine in zip(realness, logits, sound, strict=True)
        ]


def softmax(logits: NDArray[np.float32]) -> Probabilities:
    """Probabilities of one row's logits: float32 [n] → float32 [n].

    Computed in double precision, a row by itself: over a whole batch a sum's order, and so its last bits, could depend
    on where a row lies.
    """
    if not len(logits):
        return logits
    wide = logits.astype(np.float64)
    weights = np.exp(wide - wide.max())
    shares: Probabilities = (weights / weights.sum()).astype(np.float32)
    return shares

"""Transforms: one step turns a row's picture into another."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rhapsode_server.errors import NonFiniteOutput
from rhapsode_server.models.base import OneRun, Outcome, Session
from rhapsode_server.models.decoder import Pixels


@dataclass(frozen=True, slots=True, eq=False)
class TransformRow:
    """One picture to transform, in the model's own value range: float32 [channels, height, width]."""

    values: Pixels


@dataclass(frozen=True, slots=True, eq=False)
class Transformed:
    """What became of it: float32 [channels, height, width]."""

    values: Pixels


class Transformer(OneRun):
    """Turns pictures into pictures: image [batch, channels, height, width] → transformed, of the same shape."""

    def __init__(self, session: Session, max_batch: int) -> None:
        self.max_batch = max_batch
        self._session = session

    def advance(self, rows: Sequence[TransformRow]) -> Sequence[Outcome[Transformed]]:
        """Transform every row; each is done after it."""
        pictures: Pixels = self._session.run({"image": np.stack([row.values for row in rows])})["transformed"]
        sound = np.asarray(np.isfinite(pictures).reshape(len(rows), -1).all(axis=1))
        # Copies, because a picture that waits for its reader must not keep its whole batch in memory.
        return [
            Outcome((Transformed(picture.copy()),), done=True, made=1)
            if fine
            else Outcome(done=True, error=NonFiniteOutput("the model gave pixels that are not finite"))
            for picture, fine in zip(pictures, sound, strict=True)
        ]

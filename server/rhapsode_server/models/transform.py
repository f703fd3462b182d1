"""Transforms: one step turns a row's picture into another."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rhapsode_server.errors import NonFiniteOutput
from rhapsode_server.models.base import OneRun, Outcome
from rhapsode_server.models.decoder import Pixels
from rhapsode_server.models.graph_model import Arrays, GraphModel, finite


@dataclass(frozen=True, slots=True, eq=False)
class TransformRow:
    """One picture to transform, in the model's own value range: float32 [channels, height, width]."""

    values: Pixels


@dataclass(frozen=True, slots=True, eq=False)
class Transformed:
    """What became of it: float32 [channels, height, width]."""

    values: Pixels


class Transformer(OneRun, GraphModel[TransformRow, Transformed]):
    """Turns pictures into pictures: image [batch, channels, height, width] → transformed, of the same shape."""

    def feeds(self, rows: Sequence[TransformRow]) -> Arrays:
        """The pictures."""
        return {"image": np.stack([row.values for row in rows])}

    def outcomes(
        self, _rows: Sequence[TransformRow], _feeds: Arrays, results: Arrays
    ) -> Sequence[Outcome[Transformed]]:
        """Transform every row; each is done after it."""
        pictures: Pixels = results["transformed"]
        # Copies, because a picture that waits for its reader must not keep its whole batch in memory.
        return [
            Outcome((Transformed(picture.copy()),), done=True, made=1)
            if fine
            else Outcome(done=True, error=NonFiniteOutput("the model gave pixels that are not finite"))
            for picture, fine in zip(pictures, finite(pictures), strict=True)
        ]

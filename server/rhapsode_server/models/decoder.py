"""Decoders and generators: one step turns a row's latent into its picture."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rhapsode_server.errors import NonFiniteOutput
from rhapsode_server.models.attributes import Move, moved
from rhapsode_server.models.base import OneRun, Outcome, Session
from rhapsode_server.models.graph_model import Arrays, GraphModel, finite
from rhapsode_server.models.latents import Draw, Latent, Prior, draw_all
from rhapsode_server.models.noise import choices

Pixels = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Choice:
    """Why a row was kept of many: which row of the seed it is, and how real the critic found it."""

    row: int
    realness: float


@dataclass(frozen=True, slots=True, eq=False)
class ImageRow:
    """One picture to make: a latent, or the name of one that is drawn when its turn comes."""

    index: int
    """Its place in the request."""
    source: Draw | Latent
    class_id: int | None = None
    """The class to make; None draws one, which only a named latent can."""
    moves: Sequence[Move] = ()
    """From there to the latent that is decoded."""
    choice: Choice | None = None
    """Set where the best of many rows were kept; `index` is its rank then."""


NO_LATENT: Latent = np.empty(0, dtype=np.float32)
"""That of a picture which no latent was decoded to."""


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A picture in the model's own value range: float32 [channels, height, width], and its latent: float32 [size]."""

    values: Pixels
    latent: Latent
    steps_taken: int | None = None
    """Of a preview: steps that the picture has had; None where it is finished."""


class Decoder(OneRun, GraphModel[ImageRow, Picture]):
    """Turns latents into pictures: latent [batch, size] → image [batch, channels, height, width]."""

    def __init__(self, session: Session, latent_size: int, prior: Prior, class_count: int, max_batch: int) -> None:
        super().__init__(session, max_batch)
        self._latent_size = latent_size
        self._prior = prior
        self._class_count = class_count

    def feeds(self, rows: Sequence[ImageRow]) -> Arrays:
        """The latents, those that are named drawn."""
        feeds: dict[str, NDArray[Any]] = {"latent": self._latents(rows)}
        if self._class_count:
            feeds["class_id"] = self._classes(rows)
        return feeds

    def outcomes(self, _rows: Sequence[ImageRow], feeds: Arrays, results: Arrays) -> Sequence[Outcome[Picture]]:
        """Decode every row; each is done after it."""
        pictures: Pixels = results["image"]
        # Copies, because a picture that waits for its reader must not keep its whole batch in memory.
        return [
            Outcome((Picture(picture.copy(), latent.copy()),), done=True, made=1)
            if fine
            else Outcome(done=True, error=NonFiniteOutput("the model gave pixels that are not finite"))
            for picture, latent, fine in zip(pictures, feeds["latent"], finite(pictures), strict=True)
        ]

    def _latents(self, rows: Sequence[ImageRow]) -> NDArray[np.float32]:
        latents = np.empty((len(rows), self._latent_size), dtype=np.float32)
        names: dict[int, Draw] = {}
        for place, row in enumerate(rows):
            if isinstance(row.source, Draw):
                names[place] = row.source
            else:
                latents[place] = row.source
        if names:
            latents[list(names)] = draw_all(list(names.values()), self._latent_size, self._prior)
        for place, row in enumerate(rows):
            if row.moves:
                latents[place] = moved(latents[place], row.moves)
        return latents

    def _classes(self, rows: Sequence[ImageRow]) -> NDArray[np.int64]:
        classes = np.array([row.class_id or 0 for row in rows], dtype=np.int64)
        names = {
            place: row.source for place, row in enumerate(rows) if row.class_id is None and isinstance(row.source, Draw)
        }
        if names:
            seeds, numbers = zip(*((name.seed, name.row) for name in names.values()), strict=True)
            classes[list(names)] = choices(seeds, numbers, self._class_count)
        return classes

"""Boltzmann machines: one step of a row's Markov chain, until it has taken as many as it wants."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rhapsode_server.errors import NonFiniteOutput
from rhapsode_server.models.base import Outcome, Session, Wanted
from rhapsode_server.models.decoder import NO_LATENT, ImageRow, Picture, Pixels
from rhapsode_server.models.graph_model import Arrays, GraphModel, finite
from rhapsode_server.models.latents import Draw
from rhapsode_server.models.noise import Purpose, choices, single_uniforms, words_of_steps

State = NDArray[np.float32]


@dataclass(slots=True, eq=False)
class Chain:
    """Where a row stands between two runs; empty before the first and after the last."""

    taken: int = 0
    state: State | None = None
    class_id: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class GibbsRow(ImageRow):
    """One picture to draw by a chain of its own, whose noise its name decides."""

    source: Draw
    steps: int = field(kw_only=True)
    preview_every: int = field(default=0, kw_only=True)
    """Steps after which there is a preview; 0 for none."""
    chain: Chain = field(init=False, default_factory=Chain)


class GibbsSampler(GraphModel[GibbsRow, Picture]):
    """Steps chains: state [batch, n] of zeros and ones, uniform [batch, m] → next_state, image [batch, c, h, w].

    A fresh state's number j is 1 where uniform j is below `start[j]`; step s of a row has uniforms of its own, whatever
    rows it shares the run with.
    """

    def __init__(
        self, session: Session, start: NDArray[np.float32], noise_size: int, class_count: int, max_batch: int
    ) -> None:
        super().__init__(session, max_batch)
        self._start = start
        self._noise_size = noise_size
        self._class_count = class_count

    def feeds(self, rows: Sequence[GibbsRow]) -> Arrays:
        """The states, and the noise of each row's step."""
        self._begin([row for row in rows if row.chain.state is None])
        feeds: dict[str, NDArray[Any]] = {
            "state": np.stack([row.chain.state for row in rows if row.chain.state is not None]),
            "uniform": self._noise(rows, Purpose.CHAIN_STEP, self._noise_size),
        }
        if self._class_count:
            feeds["class_id"] = np.array([row.chain.class_id for row in rows], dtype=np.int64)
        return feeds

    def outcomes(self, rows: Sequence[GibbsRow], _feeds: Arrays, results: Arrays) -> Sequence[Outcome[Picture]]:
        """Take one step of every row's chain."""
        pictures, states = results["image"], results["next_state"]
        sound = finite(pictures) & finite(states)
        return [
            _stepped(row, state, picture)
            if fine
            else Outcome(done=True, error=NonFiniteOutput("the model gave numbers that are not finite"))
            for row, state, picture, fine in zip(rows, states, pictures, sound, strict=True)
        ]

    def wants(self, row: GibbsRow) -> Wanted:
        """What is left of its chain."""
        left = row.steps - row.chain.taken
        return Wanted(left, left)

    def _begin(self, rows: Sequence[GibbsRow]) -> None:
        """Give fresh rows their states, and classes to those that are asked for none."""
        if not rows:
            return
        states = (self._noise(rows, Purpose.CHAIN_START, len(self._start)) < self._start).astype(np.float32)
        drawn = choices(*_names(rows), max(1, self._class_count)).tolist()
        for row, state, class_id in zip(rows, states, drawn, strict=True):
            row.chain.state = state
            row.chain.class_id = class_id if row.class_id is None else row.class_id

    def _noise(self, rows: Sequence[GibbsRow], purpose: Purpose, count: int) -> NDArray[np.float32]:
        return single_uniforms(words_of_steps(*_names(rows), purpose, [row.chain.taken for row in rows], count))


def _names(rows: Sequence[GibbsRow]) -> tuple[list[int], list[int]]:
    return [row.source.seed for row in rows], [row.source.row for row in rows]


def _stepped(row: GibbsRow, state: State, picture: Pixels) -> Outcome[Picture]:
    """Move a row on. Copies, because what waits must not keep its whole batch in memory."""
    chain = row.chain
    chain.taken += 1
    if chain.taken >= row.steps:
        chain.state = None
        return Outcome((Picture(picture.copy(), NO_LATENT),), done=True, made=1)
    chain.state = state.copy()
    if not row.preview_every or chain.taken % row.preview_every:
        return Outcome()
    return Outcome((Picture(picture.copy(), NO_LATENT, chain.taken),), fleeting=True)

"""Denoisers: every step takes some of a row's noise away, until it has taken as many as its course has."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from rhapsode_server.errors import NonFiniteOutput
from rhapsode_server.models.attributes import moved
from rhapsode_server.models.base import Outcome, Session, Wanted
from rhapsode_server.models.decoder import ImageRow, Picture
from rhapsode_server.models.graph_model import Arrays, GraphModel, finite
from rhapsode_server.models.latents import Draw, Latent, Prior, draw_all
from rhapsode_server.models.noise import Purpose, choices, words_of_steps
from rhapsode_server.models.normal import normals
from rhapsode_server.models.schedules import Course, Floats, Moment


@dataclass(frozen=True, slots=True, eq=False)
class Way:
    """How a row is denoised: its course, how strongly its class is followed, previews after every so many steps."""

    course: Course
    guidance: float = 1.0
    preview_every: int = 0


@dataclass(slots=True, eq=False)
class Progress:
    """Where a row stands between two runs; empty before the first and after the last."""

    taken: int = 0
    noisy: Latent | None = None
    latent: Latent | None = None
    class_id: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class DenoiseRow(ImageRow):
    """One picture to find in noise, which is its latent. Fresh noise on the way needs a named one."""

    way: Way = field(kw_only=True)
    progress: Progress = field(init=False, default_factory=Progress)


@dataclass(frozen=True, slots=True)
class Canvas:
    """What a picture is made of: (channels, height, width), and the values of black and white."""

    shape: tuple[int, int, int]
    low: float
    high: float

    @property
    def size(self) -> int:
        """Numbers in a picture."""
        channels, height, width = self.shape
        return channels * height * width


def fresh_noise(names: Sequence[Draw], steps: Sequence[int], size: int) -> Floats:
    """The noise that step `steps[i]` of row i draws: standard normals, float32 [n, size]."""
    seeds, rows = [name.seed for name in names], [name.row for name in names]
    words = words_of_steps(seeds, rows, Purpose.DIFFUSION_STEP, steps, size)
    return normals((words.astype(np.float64) + 0.5) * 2.0**-32).astype(np.float32)


class Denoiser(GraphModel[DenoiseRow, Picture]):
    """Takes noise away: image [batch, channels, height, width], time [batch], class_id [batch] → noise, as image.

    Rows of one run may stand at different times of different courses. The class after the last stands for none; a row
    that is guided (Ho & Salimans 2022) is shown with its class and without, in the same run.
    """

    def __init__(
        self, session: Session, canvas: Canvas, signal: NDArray[np.float64], class_count: int, max_batch: int
    ) -> None:
        super().__init__(session, max_batch)
        self.signal = signal
        self._canvas = canvas
        self._class_count = class_count

    def feeds(self, rows: Sequence[DenoiseRow]) -> Arrays:
        """Every row where it stands, with its class; then those that are guided once more, without."""
        self._begin([row for row in rows if row.progress.noisy is None])
        noisy: Floats = np.stack([row.progress.noisy for row in rows if row.progress.noisy is not None])
        times = np.array([row.way.course.numbers[row.progress.taken, 0] for row in rows], dtype=np.float32)
        if not self._class_count:
            return {"image": noisy.reshape(-1, *self._canvas.shape), "time": times}
        none, guidance = self._class_count, _guidance(rows)
        asked = np.array([row.progress.class_id for row in rows], dtype=np.int64)
        asked[guidance == 0.0] = none
        guided = _guided(guidance)
        places = np.concatenate([np.arange(len(rows)), guided])
        return {
            "image": noisy[places].reshape(-1, *self._canvas.shape),
            "time": times[places],
            "class_id": np.append(asked, np.full(len(guided), none)),
        }

    def outcomes(self, rows: Sequence[DenoiseRow], feeds: Arrays, results: Arrays) -> Sequence[Outcome[Picture]]:
        """Take the next step of every row's course."""
        moment = Moment.of([(row.way.course, row.progress.taken) for row in rows])
        noisy: Floats = feeds["image"][: len(rows)].reshape(len(rows), self._canvas.size)
        found = self._found(rows, results["noise"].reshape(-1, self._canvas.size))
        clean = moment.clean(noisy, found, self._canvas.low, self._canvas.high)
        after = moment.moved(noisy, clean)
        self._freshen(rows, after, moment.fresh)
        return [
            self._stepped(row, next_noisy, seen)
            if fine
            else Outcome(done=True, error=NonFiniteOutput("the model gave noise that is not finite"))
            for row, next_noisy, seen, fine in zip(rows, after, clean, finite(after), strict=True)
        ]

    def wants(self, row: DenoiseRow) -> Wanted:
        """What is left of its course."""
        left = len(row.way.course) - row.progress.taken
        return Wanted(left, left)

    def _begin(self, rows: Sequence[DenoiseRow]) -> None:
        """Give fresh rows their noise, and classes to those that are asked for none."""
        named = [(row, row.source) for row in rows if isinstance(row.source, Draw)]
        names = [name for _, name in named]
        drawn = draw_all(names, self._canvas.size, Prior.NORMAL) if names else ()
        for (row, _), latent in zip(named, drawn, strict=True):
            row.progress.latent = latent.copy()
        for row in rows:
            if not isinstance(row.source, Draw):
                row.progress.latent = row.source
            if row.moves and row.progress.latent is not None:
                row.progress.latent = moved(row.progress.latent, row.moves)
            row.progress.noisy = row.progress.latent
            row.progress.class_id = row.class_id or 0
        undecided = [(row, name) for row, name in named if row.class_id is None and self._class_count]
        if undecided:
            seeds, numbers = zip(*((name.seed, name.row) for _, name in undecided), strict=True)
            for (row, _), choice in zip(undecided, choices(seeds, numbers, self._class_count), strict=True):
                row.progress.class_id = int(choice)

    def _found(self, rows: Sequence[DenoiseRow], given: Floats) -> Floats:
        """The noise in each row, as it is guided: float32 [batch, size]."""
        found, free = given[: len(rows)], given[len(rows) :]
        if not len(free):
            return found
        guidance = _guidance(rows)
        guided = _guided(guidance)
        led = found.copy()  # what a session gave is not ours to change
        led[guided] = free + guidance[guided, None] * (found[guided] - free)
        return led

    def _freshen(self, rows: Sequence[DenoiseRow], after: Floats, shares: Floats) -> None:
        """Add fresh noise to the rows that want it: that of a row's step depends on its name and the step alone."""
        wanting = np.flatnonzero(shares[:, 0])
        if not len(wanting):
            return
        chosen = [rows[place] for place in wanting.tolist()]
        names = [row.source for row in chosen if isinstance(row.source, Draw)]
        fresh = fresh_noise(names, [row.progress.taken for row in chosen], self._canvas.size)
        after[wanting] += fresh * shares[wanting]

    def _stepped(self, row: DenoiseRow, after: Floats, clean: Floats) -> Outcome[Picture]:
        """Move a row on. Copies, because what waits must not keep its whole batch in memory."""
        progress, way = row.progress, row.way
        progress.taken += 1
        latent = progress.latent if progress.latent is not None else after
        if progress.taken == len(way.course):
            progress.noisy = progress.latent = None
            return Outcome((Picture(after.reshape(self._canvas.shape).copy(), latent),), done=True, made=1)
        progress.noisy = after.copy()
        if not way.preview_every or progress.taken % way.preview_every:
            return Outcome()
        seen = clean.reshape(self._canvas.shape).copy()
        return Outcome((Picture(seen, latent, progress.taken),), fleeting=True)


def _guidance(rows: Sequence[DenoiseRow]) -> Floats:
    return np.array([row.way.guidance for row in rows], dtype=np.float32)


def _guided(guidance: Floats) -> NDArray[np.intp]:
    """The places of the rows that are shown without their class too."""
    return np.flatnonzero((guidance != 0.0) & (guidance != 1.0))

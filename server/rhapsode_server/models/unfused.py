"""Steps outside the graph: one run of the bare step graph a token, the sampler in numpy.

The reference for the fused way, and what serves a step graph that cannot be fused.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rhapsode_server.models.base import Session
from rhapsode_server.models.row import Alphabet, TextRow
from rhapsode_server.models.sampling import Floats, sample
from rhapsode_server.models.state import StateSpec
from rhapsode_server.models.steps import Made, Told

Counts = list[NDArray[np.float32] | None]


class UnfusedSteps:
    """Runs a step graph: (token, states) → (logits, next states), then the sampler; states go through the host."""

    def __init__(self, session: Session, states: Sequence[StateSpec], alphabet: Alphabet) -> None:
        self._session = session
        self._states = tuple(states)
        self._alphabet = alphabet

    def run(self, rows: Sequence[TextRow], steps: int) -> Made:
        """One run of the graph for each step. Every row stands where it stood if it raises RunFailed, OutOfMemory
        or DeviceLost.
        """
        before = [row.state for row in rows]
        try:
            return self._steps(rows, steps)
        except Exception:
            for row, state in zip(rows, before, strict=True):
                row.state = state
            raise

    def _steps(self, rows: Sequence[TextRow], steps: int) -> Made:
        made: list[tuple[NDArray[np.int64], NDArray[np.bool_]]] = []
        told: list[Told] = []
        wanted = [row.spec.logprobs for row in rows if row.spec.logprobs is not None]
        uniforms = np.stack([row.uniforms(steps) for row in rows], axis=1)
        counts: Counts = [row.count(self._alphabet).copy() if row.spec.sampling.penalised else None for row in rows]
        token = np.array([row.token for row in rows], np.int64)
        for step in range(steps):
            logits = self._step(rows, token)
            sound = np.isfinite(logits.max(axis=1))
            logits[~sound] = 0.0  # of rows that end here; the sampler takes none such
            token = self._next(rows, step, logits, counts, uniforms[step])
            made.append((token, sound))
            told += [ranked(logits, token, max(wanted))] if wanted else []
        tokens, soundness = (np.stack(each) for each in zip(*made, strict=True))
        return Made(tokens, soundness, _stacked(told) if told else None)

    def _step(self, rows: Sequence[TextRow], token: NDArray[np.int64]) -> Floats:
        feeds = {
            spec.input: np.stack([spec.initial if row.state is None else row.state[number] for row in rows])
            for number, spec in enumerate(self._states)
        }
        results = self._session.run({"token": token, **feeds})
        for place, row in enumerate(rows):
            row.state = tuple(results[spec.output][place] for spec in self._states)
        return results["logits"].astype(np.float32)

    def _next(
        self, rows: Sequence[TextRow], step: int, logits: Floats, counts: Counts, uniforms: Floats
    ) -> NDArray[np.int64]:
        """The tokens after this step: the forced one, else the one drawn, which is then counted."""
        tokens = sample(logits, [row.spec.sampling for row in rows], counts, uniforms)
        for place, row in enumerate(rows):
            seen, forced = counts[place], row.forced(step + 1)
            if len(forced) > step:
                tokens[place] = forced[step]
            elif seen is not None:
                seen[tokens[place]] += 1
        return tokens


def ranked(logits: Floats, tokens: NDArray[np.int64], count: int) -> Told:
    """What the log-probabilities of one step follow from: logits [b, V], tokens [b] → each [1, b, …].

    The likeliest stand first, and among equals the lower index.
    """
    shifted = logits - logits.max(axis=1, keepdims=True)
    chosen = np.take_along_axis(shifted, tokens[:, None], axis=1)[:, 0]
    total = np.cumsum(np.exp(shifted), axis=1, dtype=np.float64)[:, -1]
    ids = np.argsort(-shifted, axis=1, kind="stable")[:, : max(1, count)]
    return Told(chosen[None], total[None], np.take_along_axis(shifted, ids, axis=1)[None], ids[None])


def _stacked(told: Sequence[Told]) -> Told:
    return Told(
        *(np.concatenate([getattr(one, name) for one in told]) for name in ("chosen", "total", "top_values", "top_ids"))
    )

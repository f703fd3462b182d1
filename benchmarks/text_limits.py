"""Text in one process, all rows in one batch: the loops that a server's cost is held against."""

from typing import Any

import numpy as np
from benchmarks.bundles import Opened
from benchmarks.cases import Case
from numpy.typing import NDArray

from rhapsode_server.models import fuse
from rhapsode_server.models.fuse import wiring
from rhapsode_server.models.noise import token_uniforms
from rhapsode_server.models.sampling import Sampling, sample
from rhapsode_server.runtime.ort import ort
from rhapsode_server.runtime.providers import Runtime

_STEPS_A_RUN = 16
_NEUTRAL = np.zeros((1, 1), np.float32)

Arrays = dict[str, NDArray[Any]]
Tokens = NDArray[np.int64]


class PlainLoop:
    """A run a token, then the sampler in numpy with all of its options."""

    def __init__(self, bundle: Opened, runtime: Runtime) -> None:
        self._bundle = bundle
        self._session = runtime.session(bundle.graph)

    def make(self, case: Case, seed: int) -> Tokens:
        """One token after another for every row; the last of each."""
        rows = case.requests
        states = {spec.input: _fresh(spec.initial, rows) for spec in self._bundle.states}
        tokens, uniforms = np.full(rows, self._bundle.start, np.int64), _uniforms(case, seed)
        settings, counts = [Sampling()] * rows, [None] * rows
        for step in range(case.items):
            outputs = self._session.run({**states, "token": tokens})
            states = {spec.input: outputs[spec.output] for spec in self._bundle.states}
            tokens = sample(outputs["logits"], settings, counts, uniforms[step])
        return tokens


class BareLoop:
    """The shortest such loop: ONNX Runtime as it comes, and a sampler that knows temperature 1 only."""

    def __init__(self, bundle: Opened, runtime: Runtime) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        self._bundle = bundle
        self._session = ort.InferenceSession(bundle.graph, options, providers=[runtime.placement.provider])

    def make(self, case: Case, seed: int) -> Tokens:
        """One token after another for every row; the last of each."""
        names = [spec.input for spec in self._bundle.states]
        wanted = ["logits", *(spec.output for spec in self._bundle.states)]
        states = [_fresh(spec.initial, case.requests) for spec in self._bundle.states]
        tokens, uniforms = np.full(case.requests, self._bundle.start, np.int64), _uniforms(case, seed)
        for step in range(case.items):
            feeds = {"token": tokens, **dict(zip(names, states, strict=True))}
            logits, *states = self._session.run(wanted, feeds)
            reached = np.cumsum(np.exp(logits - logits.max(axis=1, keepdims=True)), axis=1)
            tokens = (reached <= uniforms[step][:, None] * reached[:, -1:]).sum(axis=1)
        return tokens


class FusedLoop:
    """Many steps a run, the sampler inside the graph, the state fed back as it came."""

    def __init__(self, bundle: Opened, runtime: Runtime) -> None:
        self._bundle = bundle
        self._session = runtime.session(fuse.loop(bundle.graph, bundle.states, bundle.vocabulary))

    def make(self, case: Case, seed: int) -> Tokens:
        """One run after another for all rows; the last token of each."""
        rows, states = case.requests, self._bundle.states
        uniforms = _uniforms(case, seed)[:, :, None]
        fixed = self._settings(rows)
        tokens, places = np.full(rows, self._bundle.start, np.int64), np.full(rows, -1, np.int64)
        left: Arrays = {wiring.last(number): spec.stacked([]) for number, spec in enumerate(states)}
        for begin in range(0, case.items, _STEPS_A_RUN):
            uniform = uniforms[begin : begin + _STEPS_A_RUN]
            course: Arrays = {
                wiring.STEPS: np.array(len(uniform), np.int64),
                wiring.FORCED: np.full((len(uniform), rows), -1, np.int64),
                wiring.UNIFORM: uniform,
            }
            outputs = self._session.run({**fixed, **course, **left, wiring.TOKEN: tokens, wiring.ROWS: places})
            tokens, places = outputs[wiring.TOKENS][-1], np.arange(rows)
            left = {wiring.last(number): outputs[wiring.state(number)] for number in range(len(states))}
        return tokens

    def _settings(self, rows: int) -> Arrays:
        joined = {wiring.joined(number): spec.stacked([]) for number, spec in enumerate(self._bundle.states)}
        none = np.array(False)
        settings: Arrays = {
            **joined,
            wiring.OPTIONS: np.tile(np.array(Sampling().columns, np.float32), (rows, 1)),
            wiring.DEPTH: np.array([1], np.int64),
            wiring.RANKS: np.array([1], np.int64),
            wiring.BIAS: _NEUTRAL,
            wiring.COUNTS: _NEUTRAL,
            wiring.ADJUSTS: none,
            wiring.FILTERS: none,
            wiring.TELLS: none,
        }
        return settings


def _fresh(state: NDArray[Any], rows: int) -> NDArray[Any]:
    return np.repeat(state[None], rows, axis=0)


def _uniforms(case: Case, seed: int) -> NDArray[np.float32]:
    """What draws every token: [items, requests]."""
    rows = [token_uniforms(seed + row, 0, 0, case.items) for row in range(case.requests)]
    return np.ascontiguousarray(np.stack(rows, axis=1))

"""The tiny step graph stepped in every way there is, and what rows of it tell."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import onnx

from rhapsode_server.models import fuse
from rhapsode_server.models.budget import RunBudget
from rhapsode_server.models.fused import Forms, FusedSteps
from rhapsode_server.models.padding import Buckets
from rhapsode_server.models.row import Alphabet, TextRow
from rhapsode_server.models.state import StateSpec
from rhapsode_server.models.stepper import Stepper
from rhapsode_server.models.steps import Steps
from rhapsode_server.models.text import Ended, Logprob, TextEvent, TextSpec, Tokens
from rhapsode_server.models.unfused import UnfusedSteps
from rhapsode_server.runtime.providers import Runtime, RuntimeOptions
from support import bundles, graphs

Way = Literal["plain", "loop", "padded", "unrolled"]
WAYS: tuple[Way, ...] = ("plain", "loop", "padded", "unrolled")
STATES = (
    StateSpec("alpha_in", "zeta_out", (graphs.WIDTH,), np.dtype(np.float32), 0.25),
    StateSpec("beta_in", "eta_out", (graphs.WIDTH,), np.dtype(np.float32), 0.0),
)
UNROLLED_ROWS = 40
_RUNTIME = Runtime(RuntimeOptions(provider="cpu"))


@dataclass(frozen=True, slots=True)
class Told:
    """One token as it was told."""

    id: int
    text: str
    logprob: Logprob | None


def way(
    name: Way, model: onnx.ModelProto, alphabet: Alphabet, states: Sequence[StateSpec] = STATES, steps: int = 7
) -> Steps:
    """A way to step a graph; the unrolled one by 1 or `steps`, 40 rows at a time."""
    content, size = model.SerializeToString(), len(alphabet.tokens)
    if name == "plain":
        return UnfusedSteps(_RUNTIME.session(content), states, alphabet)
    if name == "unrolled":
        unrolled = {
            number: _RUNTIME.session(fuse.unrolled(content, states, size, number, UNROLLED_ROWS, 20)).resident()
            for number in {1, steps}
        }
        return FusedSteps(Forms(None, unrolled, Buckets([UNROLLED_ROWS])), states, alphabet)
    loop = _RUNTIME.session(fuse.loop(content, states, size)).resident()
    return FusedSteps(Forms(loop, buckets=Buckets([4, 64] if name == "padded" else [])), states, alphabet)


def make(
    name: Way,
    *,
    nan_after: str | None = None,
    end_token: int | None = None,
    count_prompt: bool = False,
    states: Sequence[StateSpec] = STATES,
    steps: int = 7,
) -> Stepper:
    """A stepper of the tiny graph, which takes as many steps a run as it may."""
    poison = None if nan_after is None else bundles.CHARACTERS.index(nan_after)
    graph = graphs.stepper(len(bundles.CHARACTERS), seed=1, nan_after=poison)
    alphabet = Alphabet(bundles.CHARACTERS, end_token, count_prompt)
    budget = RunBudget(seconds=60.0, most=steps)
    return Stepper(way(name, graph, alphabet, states, steps), alphabet, budget, UNROLLED_ROWS)


def run(stepper: Stepper, rows: Sequence[TextRow]) -> list[list[TextEvent]]:
    """Step all rows together until the last one is done: each one's events."""
    events: Mapping[TextRow, list[TextEvent]] = {row: [] for row in rows}
    waiting = list(rows)
    while waiting:
        outcomes = stepper.advance(waiting)
        for row, outcome in zip(waiting, outcomes, strict=True):
            if outcome.error:
                raise outcome.error
            events[row].extend(outcome.events)
        waiting = [row for row, outcome in zip(waiting, outcomes, strict=True) if not outcome.done]
    return [events[row] for row in rows]


def tokens(events: Sequence[TextEvent], vocabulary: Sequence[str] = bundles.CHARACTERS) -> list[Told]:
    """The tokens among the events, one by one, their texts checked."""
    told: list[Told] = []
    for event in events:
        if isinstance(event, Tokens):
            logprobs: Sequence[Logprob | None] = event.logprobs or [None] * len(event.ids)
            texts = [vocabulary[token] for token in event.ids]
            assert "".join(texts) == event.text
            told += [Told(*one) for one in zip(event.ids, texts, logprobs, strict=True)]
    return told


def generate(stepper: Stepper, spec: TextSpec, candidate: int = 0) -> tuple[list[Told], Ended]:
    """One row alone: its tokens and its end."""
    events = run(stepper, [TextRow(spec, candidate)])[0]
    assert isinstance(events[-1], Ended)
    return tokens(events), events[-1]


def ids(text: str) -> tuple[int, ...]:
    """The token ids of a text."""
    return tuple(bundles.CHARACTERS.index(character) for character in text)

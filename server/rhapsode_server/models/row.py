"""One candidate text on its way: what to feed next, what was drawn, what may be told."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rhapsode_server.models.noise import token_uniforms
from rhapsode_server.models.stops import StopWatch
from rhapsode_server.models.text import Ended, EndReason, TextEvent, TextSpec, Token

State = tuple[NDArray[np.generic], ...]
NOISE_AHEAD = 64  # uniforms drawn at a time: one Philox call costs about as much for 64 as for one


class TextRow:
    """A row of tokens: forced ones first (prompt, then received), drawn ones after.

    Generated token number n, counted from zero and those received included, is drawn with uniform n of row
    `candidate`, so that a row that is resumed draws what it would have drawn.
    """

    def __init__(self, spec: TextSpec, candidate: int = 0) -> None:
        self.spec = spec
        self.candidate = candidate
        self.state: State | None = None
        self.seen: NDArray[np.int32] | None = None
        self._forced = (*spec.prompt, *spec.received)
        self._fed = 0
        self._drawn = 0
        self._told = 0
        self._last = 0
        self._stops = StopWatch(spec.stop_sequences)
        self._noise = np.empty(0, dtype=np.float32)

    @property
    def next_input(self) -> int:
        """The token to feed now."""
        return self._forced[self._fed] if self._fed < len(self._forced) else self._last

    @property
    def draws(self) -> bool:
        """Whether the logits after `next_input` are to be drawn from: the last forced token is being fed, or passed."""
        return self._fed >= len(self._forced) - 1

    @property
    def uniform(self) -> np.float32:
        """The uniform of the token to draw now."""
        ahead = self._drawn % NOISE_AHEAD
        if not ahead:
            first = len(self.spec.received) + self._drawn
            self._noise = token_uniforms(self.spec.seed, self.candidate, first, NOISE_AHEAD)
        return np.float32(self._noise[ahead])

    def count(self, vocabulary_size: int, prompt_too: bool) -> None:
        """Begin to count the tokens that have occurred, for the penalties."""
        counted = (*self.spec.prompt, *self.spec.received) if prompt_too else self.spec.received
        self.seen = np.bincount(np.array(counted, dtype=np.int64), minlength=vocabulary_size).astype(np.int32)

    def advance(self, state: State) -> None:
        """The step has consumed `next_input` and left this state."""
        self.state = state
        self._fed += 1

    def already_ended(self, end_token: int | None) -> Ended | None:
        """The end, where the tokens received already reach it."""
        received = self.spec.received
        if received and received[-1] == end_token:
            return Ended(EndReason.END_TOKEN, 0)
        return Ended(EndReason.MAX_TOKENS, 0) if len(received) >= self.spec.max_tokens else None

    def accept(self, token: Token, end_token: int | None) -> tuple[Sequence[TextEvent], bool]:
        """Take the token that was drawn: what may be told now, and whether the row has ended."""
        self._drawn += 1
        self._last = token.id
        if self.seen is not None:
            self.seen[token.id] += 1
        if token.id == end_token:
            return self._end(EndReason.END_TOKEN, self._stops.flush()), True
        free, stop = self._stops.push(token)
        if stop is not None:
            return self._end(EndReason.STOP_SEQUENCE, free, stop.sequence, stop.tail), True
        if len(self.spec.received) + self._drawn >= self.spec.max_tokens:
            return self._end(EndReason.MAX_TOKENS, [*free, *self._stops.flush()]), True
        self._told += len(free)
        return free, False

    def _end(self, reason: EndReason, free: Sequence[Token], stop: str = "", tail: str = "") -> Sequence[TextEvent]:
        return [*free, Ended(reason, self._told + len(free), stop, tail)]

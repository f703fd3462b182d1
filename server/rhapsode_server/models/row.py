"""One text on its way: what to feed, what was made, what may be told."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rhapsode_server.models.base import Outcome
from rhapsode_server.models.detokenizer import Detokenizer
from rhapsode_server.models.noise import token_uniforms
from rhapsode_server.models.stops import StopWatch
from rhapsode_server.models.text import Ended, EndReason, Logprob, TextEvent, TextSpec, Tokens

State = tuple[NDArray[Any], ...]
NOISE_AHEAD = 128  # uniforms drawn at a time: one Philox call costs about as much for 128 as for one


@dataclass(frozen=True, slots=True)
class Alphabet:
    """What a row has to know of a vocabulary."""

    tokens: tuple[str, ...]
    end_token: int | None = None
    penalties_count_prompt: bool = False
    pieces: tuple[bytes, ...] = ()
    """The bytes of each token where tokens stand for bytes; empty where they are text."""


# A token that is held back, the text that it adds, and its log-probability.
_Pending: TypeAlias = tuple[int, str, Logprob | None]


class TextRow:
    """A row of tokens: forced ones first (prompt, then received), drawn ones after.

    Generated token number n, counted from zero and those received included, is drawn with uniform n of row
    `candidate`, so that a row that is resumed draws what it would have drawn.
    """

    def __init__(self, spec: TextSpec, candidate: int = 0) -> None:
        self.spec = spec
        self.columns = spec.sampling.columns
        self.candidate = candidate
        self.state: State | None = None
        """The state after the last step, where it is not kept by the model; None before the first step."""
        self.seen: NDArray[np.float32] | None = None
        self.ended = False
        """Whether it wants no more steps."""
        self.token = spec.prompt[0]
        """The token to feed next."""
        self._forced = (*spec.prompt, *spec.received)
        self._position = 0  # of the token to feed next, among all of the row's
        self._last = len(spec.prompt) + spec.max_tokens - 1  # position of the last token wanted
        self._told = 0
        self._stops = StopWatch(spec.stop_sequences)
        self._pending: list[_Pending] = []
        self._detokenizer: Detokenizer | None = None
        self._noise = np.empty(0, dtype=np.float32)
        self._noise_from = 0

    @property
    def left(self) -> int:
        """Steps until the last token wanted, where nothing ends the row before."""
        return self._last - self._position

    @property
    def to_first(self) -> int:
        """Steps until there is something to tell; 0 for a row that has been told of."""
        return 0 if self._told or self.spec.scores else max(0, len(self._forced) - self._position)

    def forced(self, steps: int) -> Sequence[int]:
        """The forced ones among the next tokens: they come before all that are drawn."""
        first = self._position + 1
        return self._forced[first : first + steps]

    def uniforms(self, steps: int) -> NDArray[np.float32]:
        """The uniforms of the next tokens: float32 [steps]; those of forced tokens mean nothing."""
        first = self._position + 1 - len(self.spec.prompt)
        if first < 0:  # the prompt's own tokens are drawn by nothing
            unused = min(-first, steps)
            drawn = self._drawn(0, steps - unused) if unused < steps else ()
            return np.concatenate([np.full(unused, 0.5, np.float32), drawn], dtype=np.float32)
        return self._drawn(first, steps)

    def _drawn(self, first: int, count: int) -> NDArray[np.float32]:
        """The uniforms of generated tokens `first` to `first + count`; first at most where noise was drawn to."""
        start = first - self._noise_from
        if start < 0 or start + count > len(self._noise):
            ahead = max(count, min(NOISE_AHEAD, self.left))
            self._noise, self._noise_from, start = (
                token_uniforms(self.spec.seed, self.candidate, first, ahead),
                first,
                0,
            )
        return self._noise[start : start + count]

    def count(self, alphabet: Alphabet) -> NDArray[np.float32]:
        """How often each token has occurred, for the penalties: float32 [vocabulary]."""
        if self.seen is None:
            counted = self._forced if alphabet.penalties_count_prompt else self.spec.received
            occurred = np.bincount(np.array(counted, dtype=np.int64), minlength=len(alphabet.tokens))
            self.seen = occurred.astype(np.float32)
        return self.seen

    def already_ended(self, alphabet: Alphabet) -> Ended | None:
        """The end, where the tokens received already reach it, or nothing follows the token to score."""
        received = self.spec.received
        if received and received[-1] == alphabet.end_token:
            return Ended(EndReason.END_TOKEN, 0)
        if self.left > 0:
            return None
        return Ended(EndReason.SCORED if self.spec.scores else EndReason.MAX_TOKENS, 0)

    def take(self, ids: Sequence[int], logprobs: Sequence[Logprob], alphabet: Alphabet) -> Outcome[TextEvent]:
        """Take the next tokens as a run has made them, forced ones included: what may be told now, and the end.

        `logprobs` is empty, or has one for each token.
        """
        forced = len(self.forced(len(ids)))
        first = self._position + 1
        self._position += len(ids)
        self.token = ids[-1]
        if self.spec.scores:
            untold = max(0, self.spec.unscored - first)
            return self._tell_score(ids[untold:], logprobs[untold:], alphabet)
        return self._tell_drawn(ids[forced:] if forced else ids, logprobs[forced:] if forced else logprobs, alphabet)

    def _tell_score(self, ids: Sequence[int], logprobs: Sequence[Logprob], alphabet: Alphabet) -> Outcome[TextEvent]:
        self.ended = self.left <= 0
        told = [Tokens(ids, self._scored_text(ids, alphabet), logprobs)] if ids else []
        self._told += len(ids)
        ended = [Ended(EndReason.SCORED, self._told)] if self.ended else []
        return Outcome([*told, *ended], done=self.ended, made=len(ids))

    def _scored_text(self, ids: Sequence[int], alphabet: Alphabet) -> str:
        if not alphabet.pieces:
            return "".join([alphabet.tokens[token] for token in ids])
        before = self._forced[: self._position + 1 - len(ids)]
        detokenizer = self._detokenizer = self._detokenizer or Detokenizer(alphabet.pieces, before)
        return "".join([*map(detokenizer.push, ids), detokenizer.rest() if self.ended else ""])

    def _tell_drawn(self, ids: Sequence[int], logprobs: Sequence[Logprob], alphabet: Alphabet) -> Outcome[TextEvent]:
        if self.seen is not None:
            np.add.at(self.seen, ids, 1.0)
        if not (alphabet.pieces or self.spec.stop_sequences or alphabet.end_token in ids):
            return self._tell_all(ids, logprobs, alphabet)
        if alphabet.pieces and self._detokenizer is None:
            self._detokenizer = Detokenizer(alphabet.pieces, self._forced)
        detokenizer, free = self._detokenizer, 0
        for index, token in enumerate(ids):
            if token == alphabet.end_token:
                return self._end(EndReason.END_TOKEN, len(self._pending), index + 1)
            text = alphabet.tokens[token] if detokenizer is None else detokenizer.push(token)
            self._pending.append((token, text, logprobs[index] if logprobs else None))
            released, stop = self._stops.push(text, detokenizer is not None and detokenizer.inside)
            free += released
            if stop is not None:
                return self._end(EndReason.STOP_SEQUENCE, free, index + 1, stop.sequence, stop.tail)
        if self.left <= 0:
            return self._end(EndReason.MAX_TOKENS, len(self._pending), len(ids))
        return Outcome(self._release(free), made=len(ids))

    def _tell_all(self, ids: Sequence[int], logprobs: Sequence[Logprob], alphabet: Alphabet) -> Outcome[TextEvent]:
        """Nothing is held back where nothing can stop the text."""
        self._told += len(ids)
        told = [Tokens(ids, "".join([alphabet.tokens[token] for token in ids]), logprobs)] if ids else []
        if self.left > 0:
            return Outcome(told, made=len(ids))
        self.ended = True
        return Outcome([*told, Ended(EndReason.MAX_TOKENS, self._told)], done=True, made=len(ids))

    def _end(self, reason: EndReason, free: int, made: int, stop: str = "", tail: str = "") -> Outcome[TextEvent]:
        events = self._release(free)
        self.ended = True
        return Outcome([*events, Ended(reason, self._told, stop, tail)], done=True, made=made)

    def _release(self, free: int) -> Sequence[Tokens]:
        if not free:
            return []
        going, self._pending = self._pending[:free], self._pending[free:]
        self._told += free
        logprobs = [logprob for _, _, logprob in going if logprob is not None]
        return [Tokens([token for token, _, _ in going], "".join([text for _, text, _ in going]), logprobs)]

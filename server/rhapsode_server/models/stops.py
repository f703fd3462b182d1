"""Stop sequences: which generated tokens are certain to be sent, and which may yet turn out to be a stop."""

from collections import deque
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Stop:
    """A stop sequence has appeared: what it was, and what stands before it inside the token in which it begins."""

    sequence: str
    tail: str


class _Pattern:
    """One stop sequence and how much of it the text ends with (Knuth, Morris and Pratt 1977)."""

    def __init__(self, sequence: str) -> None:
        self.sequence = sequence
        self.matched = 0
        self._fallback = [0] * len(sequence)
        for index in range(1, len(sequence)):
            self._fallback[index] = self._advance(self._fallback[index - 1], sequence[index])

    def feed(self, character: str) -> bool:
        """Take the next character of the text; True when the whole sequence stands at its end."""
        self.matched = self._advance(self.matched, character)
        return self.matched == len(self.sequence)

    def _advance(self, matched: int, character: str) -> int:
        while matched and (matched == len(self.sequence) or self.sequence[matched] != character):
            matched = self._fallback[matched - 1]
        return matched + (self.sequence[matched] == character)


class StopWatch:
    """Says how many tokens are certain to be sent: those whose text cannot be the beginning of a stop sequence."""

    def __init__(self, sequences: tuple[str, ...]) -> None:
        self._patterns = [_Pattern(sequence) for sequence in sequences]
        self._held: deque[tuple[int, str]] = deque()  # the tokens held back: where the text ends, and the text
        self._length = 0

    def push(self, text: str) -> tuple[int, Stop | None]:
        """Take a token's text: how many of the tokens held back may go now, and the stop if the text has reached one.

        The sequence that is complete first wins, the longest among those complete at the same character.
        """
        if not self._patterns:
            return 1, None
        self._held.append((self._length + len(text), text))
        for index, character in enumerate(text, 1):
            complete = [pattern.sequence for pattern in self._patterns if pattern.feed(character)]
            if complete:
                return self._stop(max(complete, key=len), self._length + index)
        self._length += len(text)
        return self._release(self._length - max(pattern.matched for pattern in self._patterns)), None

    def _release(self, offset: int) -> int:
        before = len(self._held)
        while self._held and self._held[0][0] <= offset:
            self._held.popleft()
        return before - len(self._held)

    def _stop(self, sequence: str, end: int) -> tuple[int, Stop]:
        cut = end - len(sequence)
        free = self._release(cut)
        token_end, text = self._held[0]
        return free, Stop(sequence, text[: len(text) - (token_end - cut)])

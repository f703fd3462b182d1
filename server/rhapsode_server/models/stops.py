"""Stop sequences: which generated tokens are certain to be sent, and which may yet turn out to be a stop."""

from collections import deque
from dataclasses import dataclass

from rhapsode_server.models.text import Token


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
    """Holds tokens back for as long as their text may be the beginning of a stop sequence."""

    def __init__(self, sequences: tuple[str, ...]) -> None:
        self._patterns = [_Pattern(sequence) for sequence in sequences]
        self._held: deque[tuple[Token, int]] = deque()  # with the offset at which the token's text ends
        self._length = 0

    def push(self, token: Token) -> tuple[list[Token], Stop | None]:
        """Take a token: the tokens that may go now, and the stop if the text has reached one.

        The sequence that is complete first wins, the longest among those complete at the same character.
        """
        if not self._patterns:
            return [token], None
        self._held.append((token, self._length + len(token.text)))
        for character in token.text:
            self._length += 1
            complete = [pattern.sequence for pattern in self._patterns if pattern.feed(character)]
            if complete:
                return self._stop(max(complete, key=len))
        return self._release(self._length - max(pattern.matched for pattern in self._patterns)), None

    def flush(self) -> list[Token]:
        """All that is held back: the row has ended otherwise."""
        return self._release(self._length)

    def _release(self, offset: int) -> list[Token]:
        free: list[Token] = []
        while self._held and self._held[0][1] <= offset:
            free.append(self._held.popleft()[0])
        return free

    def _stop(self, sequence: str) -> tuple[list[Token], Stop]:
        cut = self._length - len(sequence)
        free = self._release(cut)
        token, end = self._held[0]
        return free, Stop(sequence, token.text[: len(token.text) - (end - cut)])

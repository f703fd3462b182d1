"""Stop sequences: which generated tokens are certain to be sent, and which may yet turn out to be a stop."""

from collections import deque
from dataclasses import dataclass
from itertools import islice
from typing import TypeAlias


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


# A token held back: where its last character ends, be it whole or not; where its text begins; the text; whether the
# last character is not whole. A plain tuple, since there may be one for every token.
_Held: TypeAlias = tuple[int, int, str, bool]


class StopWatch:
    """Says how many tokens are certain to be sent: their characters are whole, and cannot begin a stop sequence."""

    def __init__(self, sequences: tuple[str, ...]) -> None:
        self._patterns = [_Pattern(sequence) for sequence in sequences]
        self._held: deque[_Held] = deque()
        self._passed = 0  # of those held, how many wait for no more than the rest of a character
        self._length = 0

    def push(self, text: str, inside: bool = False) -> tuple[int, Stop | None]:
        """Take a token's text: how many of the tokens held back may go now, and the stop if the text has reached one.

        `inside` says that the token has the beginning of one more character, which is not in the text yet: it is held
        back until that is whole, and certain to be sent. The sequence that is complete first wins, the longest among
        those complete at the same character.
        """
        start = self._length
        self._length += len(text)
        for index, character in enumerate(text if self._patterns else "", 1):
            complete = [pattern.sequence for pattern in self._patterns if pattern.feed(character)]
            if complete:
                self._held.append((self._length + inside, start, text, inside))
                return self._stop(max(complete, key=len), start + index)
        matched = max([pattern.matched for pattern in self._patterns], default=0)
        if not (matched or inside or self._held):
            return 1, None
        self._held.append((self._length + inside, start, text, inside))
        return self._release(self._length - matched), None

    def _release(self, offset: int) -> int:
        """How many tokens stand before `offset` whole, up to one that ends where a character does: they go."""
        free, passed = 0, self._passed
        for end, _, _, inside in islice(self._held, passed, None):
            if end > offset:
                break
            passed += 1
            if not inside:
                free = passed
        for _ in range(free):
            self._held.popleft()
        self._passed = passed - free
        return free

    def _stop(self, sequence: str, end: int) -> tuple[int, Stop]:
        cut = end - len(sequence)
        free = self._release(cut) + self._passed  # nothing comes after them that could complete a character
        _, start, text, _ = self._held[self._passed]
        return free, Stop(sequence, text[: cut - start])

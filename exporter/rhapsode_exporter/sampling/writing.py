"""Many texts written at once, token by token, by anything that says what may follow."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
Ids = NDArray[np.int64]


class Writer(Protocol):
    """A model of sequences with a row for each text that is being written."""

    def begin(self, rows: int) -> Floats:
        """Forget all, and give the probabilities [rows, V] of the first token."""
        ...

    def take(self, tokens: Ids) -> Floats:
        """Add a token to each row, and give the probabilities [B, V] of the next ones."""
        ...

    def keep(self, rows: NDArray[np.bool_]) -> None:
        """Drop the rows [B] that are false: their texts have ended."""
        ...


@dataclass(frozen=True, slots=True)
class Wanted:
    """What texts to write: at most `length` tokens, drawn from p^(1 / temperature), up to the token `end`.

    The end token is no part of a text; where it is None, every text has `length` tokens.
    """

    length: int
    temperature: float = 1.0
    end: int | None = None


def write(writer: Writer, prefixes: Sequence[Sequence[int]], wanted: Wanted, seed: int) -> list[list[int]]:
    """The tokens that follow each prefix in one text each, without the prefix.

    Every text has uniforms of its own, which depend on the seed, its number and how many there are.
    """
    random = np.random.default_rng(seed)
    texts: list[list[int]] = [[] for _ in prefixes]
    alive = np.arange(len(prefixes))
    probabilities = writer.begin(len(prefixes))
    place = 0
    while len(alive):
        tokens = _drawn(probabilities, wanted.temperature, random.random(len(prefixes))[alive])
        goes_on = np.ones(len(alive), np.bool_)
        for slot, row in enumerate(alive.tolist()):
            if place < len(prefixes[row]):
                tokens[slot] = prefixes[row][place]
            else:
                goes_on[slot] = _grows(texts[row], int(tokens[slot]), wanted)
        if not goes_on.all():
            writer.keep(goes_on)
            alive, tokens = alive[goes_on], tokens[goes_on]
        if len(alive):
            probabilities = writer.take(tokens)
        place += 1
    return texts


def _grows(text: list[int], token: int, wanted: Wanted) -> bool:
    """Add the token unless it ends the text; whether the text goes on after it."""
    if token == wanted.end:
        return False
    text.append(token)
    return len(text) < wanted.length


def _drawn(probabilities: Floats, temperature: float, uniforms: Floats) -> Ids:
    """A token for each row [B] of probabilities [B, V], by inverting the distribution function."""
    likeliest = probabilities.max(axis=1, keepdims=True)  # becomes 1, so that no power makes all of them 0
    steps = np.cumsum((probabilities / likeliest).astype(np.float64) ** (1 / temperature), axis=1)
    below = steps <= (uniforms * steps[:, -1])[:, None]
    tokens: Ids = np.minimum(below.sum(axis=1), probabilities.shape[1] - 1)
    return tokens

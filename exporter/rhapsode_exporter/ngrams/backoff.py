"""An n-gram model in backoff form: tables of what was seen, which a step graph can search.

    p(w | h) = backoff(h) · weight(h, w)   where w is listed after the context h,
    p(w | h) = backoff(h) · p(w | h')      elsewhere; h' is h without its oldest token, backoff(h) is 1 for an unknown h

(Katz 1987 wrote a model so, and the ARPA format does.) `backoff` is what makes the sum over all w one: it is found
from the other numbers as they are stored, so a model stays exactly normalised whatever is pruned or rounded.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rhapsode_exporter.judge.kneser_ney import KneserNey, Table, find, grams
from rhapsode_exporter.ngrams.pruning import SMALLEST, Candidates, Pruning

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]
COARSEST = 127
"""How many steps a rounded weight has at most, up or down."""


@dataclass(frozen=True, slots=True)
class Level:
    """The contexts of one length, C of them with E entries together.

    A context is one number, its tokens as digits of base V + 1, the oldest first; `contexts` [C] is sorted. The entries
    of context c are those from starts[c] to starts[c + 1] of `tokens` and `weights` [E]; weights and `backoffs` [C] are
    logarithms.
    """

    contexts: Integers
    starts: Integers
    tokens: Integers
    weights: Floats
    backoffs: Floats

    @property
    def widest(self) -> int:
        """The most entries of a context."""
        return int(np.diff(self.starts).max(initial=0))

    def grams(self, base: int) -> Integers:
        """Context and token of every entry as one number, sorted."""
        return np.repeat(self.contexts, np.diff(self.starts)) * base + self.tokens


@dataclass(frozen=True, slots=True)
class Backoff:
    """A model of V tokens: the logarithms `unigram` [V], and number k - 1 of `levels` for contexts of k tokens.

    Where `step` is not 0, every weight is a whole number of steps, at most COARSEST up or down.
    """

    unigram: Floats
    levels: tuple[Level, ...]
    step: float = 0.0

    @property
    def vocabulary(self) -> int:
        """How many tokens there are."""
        return len(self.unigram)

    @property
    def order(self) -> int:
        """How many tokens an n-gram has."""
        return 1 + len(self.levels)

    @property
    def entries(self) -> int:
        """Numbers that stand for a token after a context, the empty one included."""
        return self.vocabulary + sum(len(level.tokens) for level in self.levels)

    def log_probabilities(self, contexts: Integers, tokens: Integers, length: int) -> Floats:
        """Of tokens [N] after the last `length` tokens of the contexts [N]."""
        base = self.vocabulary + 1
        logs = self.unigram[tokens]
        for number, level in enumerate(self.levels[:length], start=1):
            if not len(level.contexts):
                continue
            keys = contexts % base**number
            place, known = find(level.contexts, keys)
            gram, listed = find(level.grams(base), keys * base + tokens)
            logs = np.where(known, level.backoffs[place], 0.0) + np.where(listed, level.weights[gram], logs)
        return logs

    def read(self, text: NDArray[np.integer]) -> Floats:
        """Log-probability [N] of every token of a text given those before it."""
        base = self.vocabulary + 1
        contexts = grams(text, self.order, base).astype(np.int64) // base
        return self.log_probabilities(contexts, text.astype(np.int64), len(self.levels))


def from_kneser_ney(counted: KneserNey, order: int, pruning: Pruning | None = None, step: float = 0.0) -> Backoff:
    """The interpolated model of this order; without `pruning` and `step` it gives exactly the same probabilities.

    With a step, weights are rounded to whole numbers of it, at most COARSEST.
    """
    chances = _chances(counted, order)
    model = Backoff(np.log(_unigram(counted, *chances[0])), (), step)
    for size in range(2, order + 1):
        raw = counted.raw[size - 1]
        level = _level(model, *chances[size - 1], raw, pruning)
        model = Backoff(model.unigram, (*model.levels, level), step)
    return model


def _chances(counted: KneserNey, order: int) -> Sequence[tuple[Table, Floats]]:
    """The table of each order with the interpolated probability of every n-gram in it."""
    base, found = counted.vocabulary + 1, []
    lower, keys = np.full(1, 1 / counted.vocabulary), np.zeros(1, np.uint64)
    for size in range(1, order + 1):
        table = counted.raw[size - 1] if size == order else counted.continuations[size - 1]
        suffix, _ = find(keys, table.keys % np.uint64(base ** (size - 1)))
        lower = table.refine(table.keys, base, lower[suffix])
        keys = table.keys
        found.append((table, lower))
    return found


def _unigram(counted: KneserNey, table: Table, chances: Floats) -> Floats:
    """[V]; what was never seen has its share of what the discounts took away."""
    found = np.full(counted.vocabulary, max(table.spare[0] / table.totals[0], SMALLEST) / counted.vocabulary)
    found[table.keys.astype(np.int64)] = chances
    return found


def _level(model: Backoff, table: Table, chances: Floats, raw: Table, pruning: Pruning | None) -> Level:
    """The contexts one token longer than those of `model`."""
    base, keys = model.vocabulary + 1, table.keys.astype(np.int64)
    lower = np.exp(model.log_probabilities(keys // base, keys % base, model.order - 1))
    found = Candidates(keys // base, keys % base, chances, lower)
    if pruning is not None:
        shares = raw.totals / raw.totals.sum()  # of the same contexts: what is counted at all, is so in both tables
        found = found.only(pruning.keep(found, shares))
    weights = np.log(found.chances) - found.spread(np.log(found.left / found.lower_left))
    if model.step:
        weights = model.step * np.clip(np.rint(weights / model.step), -COARSEST, COARSEST)
    backoffs = -np.log(found.sums(np.exp(weights)) + 1 - found.sums(found.lower))
    starts = np.append(found.starts, len(found.tokens))
    return Level(found.contexts[found.starts], starts, found.tokens, weights, backoffs)

"""Maximum likelihood with one more count for everything (Laplace), the n-gram model that overfits."""

from collections.abc import Sequence

import numpy as np

from rhapsode_exporter.judge.kneser_ney import KneserNey, Symbols, find, grams


def nats_by_order(counted: KneserNey, texts: Sequence[Symbols]) -> tuple[float, ...]:
    """Mean negative log-likelihood of all tokens of the texts, for each order from 1 up.

    p(w | h) = (count(h w) + 1) / (count(h) + V).
    """
    symbols = sum(map(len, texts))
    return tuple(
        -sum(_log_likelihood(counted, size, text) for text in texts) / symbols for size in range(1, counted.order + 1)
    )


def _log_likelihood(counted: KneserNey, size: int, text: Symbols) -> float:
    table, base = counted.raw[size - 1], counted.vocabulary + 1
    keys = grams(text, size, base)
    gram, seen = find(table.keys, keys)
    context, known = find(table.contexts, keys // np.uint64(base))
    counts = np.where(seen, table.counts[gram], 0) + 1
    totals = np.where(known, table.totals[context], 0.0) + counted.vocabulary
    return float(np.log(counts / totals).sum())

"""The counted model is a probability distribution, and the one that the paper defines."""

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rhapsode_exporter.judge.kneser_ney import count

VOCABULARY = 4
Gram = tuple[int, ...]

texts_of_symbols = st.lists(st.lists(st.integers(0, VOCABULARY - 1), min_size=1, max_size=40), min_size=1, max_size=4)


class Reference:
    """Modified Kneser–Ney straight from the formulas, one n-gram at a time."""

    def __init__(self, texts: Sequence[Sequence[int]], order: int) -> None:
        self.order = order
        self.raw = [Counter[Gram](self._grams(texts, size)) for size in range(1, order + 1)]
        self.befores = [Counter(gram[1:] for gram in longer) for longer in self.raw[1:]]

    def _grams(self, texts: Sequence[Sequence[int]], size: int) -> list[Gram]:
        padded = [[VOCABULARY] * (size - 1) + list(text) for text in texts]
        return [tuple(text[end : end + size]) for text in padded for end in range(len(text) - size + 1)]

    def probability(self, context: Gram, symbol: int) -> float:
        return self._refine(self.raw[self.order - 1], context[len(context) - self.order + 1 :], symbol)

    def _refine(self, counts: Counter[Gram], context: Gram, symbol: int) -> float:
        lower = self._refine(self.befores[len(context) - 1], context[1:], symbol) if context else 1 / VOCABULARY
        following = {gram: number for gram, number in counts.items() if gram[:-1] == context}
        if not following:
            return lower
        discounts = self._discounts(counts)
        number = following.get((*context, symbol), 0)
        spare = sum(discounts[min(n, 3)] for n in following.values())
        return (number - discounts[min(number, 3)] + spare * lower) / sum(following.values())

    def _discounts(self, counts: Counter[Gram]) -> list[float]:
        n = [0, *(sum(number == times for number in counts.values()) for times in (1, 2, 3, 4))]
        if 0 in n[1:4]:
            return [0.0, 0.5, 1.0, 1.5]
        y = n[1] / (n[1] + 2 * n[2])
        found = [times - (times + 1) * y * n[times + 1] / n[times] for times in (1, 2, 3)]
        return [0.0, *(min(max(d, 0.0), float(times)) for times, d in enumerate(found, start=1))]


@settings(deadline=None, max_examples=40)
@given(texts=texts_of_symbols, judged=st.lists(st.integers(0, VOCABULARY - 1), min_size=1, max_size=12))
def test_agrees_with_the_formulas(texts: list[list[int]], judged: list[int]) -> None:
    model = count([np.array(text) for text in texts], VOCABULARY, order=4)
    found = model.probabilities(np.array(judged))
    padded = (VOCABULARY,) * 4 + tuple(judged)
    for order in range(1, 5):
        reference = Reference(texts, order)
        expected = [reference.probability(padded[end : end + 4], symbol) for end, symbol in enumerate(judged)]
        np.testing.assert_allclose(found[order - 1], expected, rtol=1e-12)


@settings(deadline=None, max_examples=40)
@given(texts=texts_of_symbols, context=st.lists(st.integers(0, VOCABULARY - 1), max_size=6))
def test_probabilities_sum_to_one(texts: list[list[int]], context: list[int]) -> None:
    model = count([np.array(text) for text in texts], VOCABULARY, order=5)
    last = [[p[-1] for p in model.probabilities(np.array([*context, symbol]))] for symbol in range(VOCABULARY)]
    np.testing.assert_allclose(np.sum(last, axis=0), 1.0, rtol=1e-12)


def test_nats_are_a_mean_over_all_symbols_of_all_texts() -> None:
    model = count([np.array([0, 1, 0, 1, 0, 1])], VOCABULARY, order=2)
    texts = [np.array([0, 1]), np.array([3])]
    logs = [np.log(model.probabilities(text)[1]) for text in texts]
    assert model.nats_per_character(texts)[1] == pytest.approx(-sum(log.sum() for log in logs) / 3)


def test_learning_a_period_pays() -> None:
    period = np.tile([0, 1, 2, 3, 3], 100)
    nats = count([period], VOCABULARY, order=3).nats_per_character([period])
    assert nats[2] < nats[1] < nats[0] < math.log(VOCABULARY)


@pytest.mark.parametrize(("vocabulary", "order"), [(84, 8), (200, 8), (255, 7)])
def test_the_order_is_lowered_where_keys_would_not_fit(vocabulary: int, order: int) -> None:
    assert count([np.array([vocabulary - 1] * 20)], vocabulary).order == order

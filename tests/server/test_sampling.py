"""The numpy sampler: each setting does what it says, and no row's token depends on its company."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from rhapsode_server.models.sampling import Floats, Sampling, sample
from rhapsode_server.models.unfused import ranked

SETTINGS = st.builds(
    Sampling,
    temperature=st.sampled_from([0.0, 1e-30, 0.3, 1.0, 2.5, 100.0]),
    top_k=st.sampled_from([0, 1, 3, 50]),
    top_p=st.sampled_from([1e-6, 0.3, 0.9, 1.0]),
    min_p=st.sampled_from([0.0, 0.1, 1.0]),
    repetition_penalty=st.sampled_from([0.5, 1.0, 1.3]),
    presence_penalty=st.sampled_from([-1.0, 0.0, 0.7]),
    frequency_penalty=st.sampled_from([0.0, 0.2]),
    logit_bias=st.sampled_from([(), ((0, 5.0), (3, -100.0))]),
)


def floats(*values: float) -> Floats:
    return np.array(values, dtype=np.float32)


def logits(seed: int, rows: int, size: int = 12) -> Floats:
    return (3 * np.random.Generator(np.random.PCG64(seed)).standard_normal((rows, size))).astype(np.float32)


def share(setting: Sampling, values: list[float], seen: list[int] | None = None) -> NDArray[np.float64]:
    """How often each token is drawn from one row's logits, over evenly spread uniforms."""
    count = 4000
    batch = np.tile(np.array(values, dtype=np.float32), (count, 1))
    counts: list[Any] = [None if seen is None else np.array(seen, dtype=np.float32)] * count
    spread = ((np.arange(count) + 0.5) / count).astype(np.float32)
    return np.bincount(sample(batch, [setting] * count, counts, spread), minlength=len(values)) / count


def softmax(values: list[float]) -> NDArray[np.float64]:
    weights = np.exp(np.array(values) - max(values))
    return np.asarray(weights / weights.sum())


VALUES = [2.0, 1.0, 0.0, -1.0]


def test_plain_sampling_draws_from_the_softmax_in_vocabulary_order() -> None:
    assert share(Sampling(), VALUES) == pytest.approx(softmax(VALUES), abs=0.001)
    low_to_high = sample(np.tile(floats(*VALUES), (3, 1)), [Sampling()] * 3, [None] * 3, floats(0.01, 0.7, 0.99))
    assert low_to_high.tolist() == [0, 1, 3]


def test_temperature_divides_the_logits_and_zero_is_greedy() -> None:
    assert share(Sampling(temperature=2.0), VALUES) == pytest.approx(softmax([1.0, 0.5, 0.0, -0.5]), abs=0.001)
    assert share(Sampling(temperature=0.0), [1.0, 2.0, 2.0]).tolist() == [0, 1, 0]
    assert share(Sampling(temperature=1e-38), VALUES).tolist() == [1, 0, 0, 0]


def test_filters_keep_what_they_say() -> None:
    first_two = softmax(VALUES[:2]).tolist()
    assert share(Sampling(top_k=2), VALUES) == pytest.approx([*first_two, 0, 0], abs=0.001)
    assert share(Sampling(top_p=0.65), VALUES) == pytest.approx([*first_two, 0, 0], abs=0.001)
    assert share(Sampling(min_p=0.3), VALUES) == pytest.approx([*first_two, 0, 0], abs=0.001)
    assert share(Sampling(top_p=1e-9), VALUES).tolist() == [1, 0, 0, 0]
    assert share(Sampling(top_k=100), VALUES) == pytest.approx(softmax(VALUES), abs=0.001)


def test_ties_at_a_filters_edge_stay_together() -> None:
    assert share(Sampling(top_k=1), [1.0, 1.0, 0.0]).tolist() == [0.5, 0.5, 0]


def test_penalties_and_bias_change_the_logits_as_documented() -> None:
    seen = [1, 2, 0, 0]
    assert share(Sampling(repetition_penalty=2.0), [2.0, -1.0, 1.0, 0.0], seen) == pytest.approx(
        softmax([1.0, -2.0, 1.0, 0.0]), abs=0.001
    )
    assert share(Sampling(presence_penalty=0.5, frequency_penalty=0.25), VALUES, seen) == pytest.approx(
        softmax([1.25, 0.0, 0.0, -1.0]), abs=0.001
    )
    assert share(Sampling(logit_bias=((3, 4.0),)), VALUES) == pytest.approx(softmax([2.0, 1.0, 0.0, 3.0]), abs=0.001)


def test_forbidden_tokens_are_never_drawn_and_the_last_uniform_draws_a_token_that_has_weight() -> None:
    row = floats(-np.inf, 0.0, 1.0, -np.inf)[None]
    highest = floats(1 - 2.0**-24)
    assert sample(row, [Sampling()], [None], highest).tolist() == [2]
    assert sample(row, [Sampling()], [None], floats(2.0**-24)).tolist() == [1]


@given(st.lists(SETTINGS, min_size=1, max_size=9), st.integers(0, 2**32), st.randoms(use_true_random=False))
def test_no_row_depends_on_its_company(settings: list[Sampling], seed: int, random: Any) -> None:
    rows = len(settings)
    values = logits(seed, rows)
    draws = np.random.Generator(np.random.PCG64(seed + 1))
    uniforms = draws.uniform(0.001, 0.999, rows).astype(np.float32)
    seen = [draws.integers(0, 3, 12).astype(np.float32) if setting.penalised else None for setting in settings]
    together = sample(values, settings, seen, uniforms)
    order = list(range(rows))
    random.shuffle(order)
    shuffled = sample(values[order], [settings[i] for i in order], [seen[i] for i in order], uniforms[order])
    alone = [int(sample(values[i : i + 1], [settings[i]], [seen[i]], uniforms[i : i + 1])[0]) for i in range(rows)]
    assert together.tolist() == alone
    assert shuffled.tolist() == together[order].tolist()


def test_what_ranks_tokens_gives_log_probabilities_that_sum_to_one_the_likeliest_first() -> None:
    told = ranked(logits(3, 1), np.array([4]), 12)
    every = told.of(0, 0, 12)
    assert np.exp([value for _, value in every.top]).sum() == pytest.approx(1.0)
    assert [identity for identity, _ in every.top] == np.argsort(-logits(3, 1)[0]).tolist()
    assert dict(every.top)[4] == every.value
    assert ranked(floats(1.0, 2.0, 2.0, 0.0)[None], np.array([0]), 2).top_ids.tolist() == [[[1, 2]]]
    assert told.of(0, 0, 0).top == ()

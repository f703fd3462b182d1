"""Sequence models stepped for real: priming, drawing, ending, resuming, and keeping to themselves."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from rhapsode_server.errors import NonFiniteOutput
from rhapsode_server.models.row import TextRow
from rhapsode_server.models.sampling import Sampling
from rhapsode_server.models.stepper import Alphabet, StateSpec, Stepper
from rhapsode_server.models.text import Ended, EndReason, TextEvent, TextSpec, Token
from rhapsode_server.runtime.providers import Runtime, RuntimeOptions
from support import bundles, graphs

STATES = [
    StateSpec("alpha_in", "zeta_out", (graphs.WIDTH,), np.dtype(np.float32), 0.25),
    StateSpec("beta_in", "eta_out", (graphs.WIDTH,), np.dtype(np.float32), 0.0),
]


def make(nan_after: str | None = None, end_token: int | None = None, count_prompt: bool = False) -> Stepper:
    poison = None if nan_after is None else bundles.CHARACTERS.index(nan_after)
    graph = graphs.stepper(len(bundles.CHARACTERS), seed=1, nan_after=poison)
    session = Runtime(RuntimeOptions(provider="cpu")).session(graph.SerializeToString())
    return Stepper(session, STATES, Alphabet(bundles.CHARACTERS, end_token, count_prompt), max_batch=64)


@pytest.fixture(scope="module")
def stepper() -> Stepper:
    return make()


def ids(text: str) -> tuple[int, ...]:
    return tuple(bundles.CHARACTERS.index(character) for character in text)


def run(stepper: Stepper, rows: Sequence[TextRow]) -> list[list[TextEvent]]:
    """Step all rows together until the last one is done: each one's events."""
    events: list[list[TextEvent]] = [[] for _ in rows]
    waiting = list(enumerate(rows))
    while waiting:
        outcomes = stepper.advance([row for _, row in waiting])
        for (index, _), outcome in zip(waiting, outcomes, strict=True):
            if outcome.error:
                raise outcome.error
            events[index] += outcome.events
        waiting = [place for place, outcome in zip(waiting, outcomes, strict=True) if not outcome.done]
    return events


def generate(stepper: Stepper, spec: TextSpec, candidate: int = 0) -> tuple[list[Token], Ended]:
    *tokens, end = run(stepper, [TextRow(spec, candidate)])[0]
    assert isinstance(end, Ended)
    return [token for token in tokens if isinstance(token, Token)], end


def text(tokens: Sequence[Token]) -> str:
    return "".join(token.text for token in tokens)


def test_a_row_ends_at_max_tokens_and_says_what_it_generated(stepper: Stepper) -> None:
    tokens, end = generate(stepper, TextSpec(ids("to be"), max_tokens=20, seed=3))
    assert len(tokens) == 20
    assert end == Ended(EndReason.MAX_TOKENS, 20)
    assert [bundles.CHARACTERS[token.id] for token in tokens] == [token.text for token in tokens]


def test_seeds_and_candidates_draw_different_texts_and_equal_ones_equal_texts(stepper: Stepper) -> None:
    texts = [
        text(generate(stepper, TextSpec(ids("a"), max_tokens=30, seed=s), c)[0]) for s, c in ((1, 0), (1, 1), (2, 0))
    ]
    assert len(set(texts)) == 3
    assert text(generate(stepper, TextSpec(ids("a"), max_tokens=30, seed=1))[0]) == texts[0]


def test_a_row_gives_the_same_tokens_alone_and_in_any_company(stepper: Stepper) -> None:
    settings = [Sampling(), Sampling(top_k=3), Sampling(temperature=0.0), Sampling(top_p=0.5, presence_penalty=1.0)]
    specs = [
        TextSpec(ids("the quick"[: 1 + i % 9]), max_tokens=5 + i % 13, seed=i, sampling=settings[i % 4], logprobs=i % 3)
        for i in range(33)
    ]
    together = run(stepper, [TextRow(spec) for spec in specs])
    assert all(run(stepper, [TextRow(spec)])[0] == events for spec, events in zip(specs, together, strict=True))


@pytest.mark.parametrize("cut", [0, 1, 7, 63, 64, 65, 99, 100])
def test_a_resumed_row_goes_on_exactly_where_it_broke(stepper: Stepper, cut: int) -> None:
    sampling = Sampling(frequency_penalty=0.4, top_k=9)
    whole = TextSpec(ids("o"), max_tokens=100, seed=9, sampling=sampling, stop_sequences=("zzzzz",))
    tokens, end = generate(stepper, whole)
    received = tuple(token.id for token in tokens[:cut])
    rest, resumed_end = generate(stepper, TextSpec(ids("o"), received, sampling, 100, ("zzzzz",), 9))
    assert rest == tokens[cut:]
    assert resumed_end == Ended(end.reason, 100 - cut)


def test_the_end_token_ends_a_row_and_is_not_told() -> None:
    stepper = make(end_token=ids(" ")[0])
    tokens, end = generate(stepper, TextSpec(ids("a"), max_tokens=5000, seed=1))
    assert end.reason is EndReason.END_TOKEN
    assert " " not in text(tokens)
    received = (*(token.id for token in tokens), ids(" ")[0])
    assert generate(stepper, TextSpec(ids("a"), received, max_tokens=5000, seed=1)) == (
        [],
        Ended(EndReason.END_TOKEN, 0),
    )


def test_a_stop_sequence_is_cut_and_named(stepper: Stepper) -> None:
    whole = text(generate(stepper, TextSpec(ids("a"), max_tokens=60, seed=4))[0])
    stop = whole[30:33]
    tokens, end = generate(stepper, TextSpec(ids("a"), max_tokens=60, seed=4, stop_sequences=(stop,)))
    assert text(tokens) == whole[: whole.index(stop)]
    assert end == Ended(EndReason.STOP_SEQUENCE, len(tokens), stop)


def test_log_probabilities_are_the_models_own_whatever_the_sampling(stepper: Stepper) -> None:
    plain, _ = generate(stepper, TextSpec(ids("a"), max_tokens=1, seed=1, logprobs=30))
    greedy, _ = generate(stepper, TextSpec(ids("a"), max_tokens=1, sampling=Sampling(temperature=0.0), logprobs=1))
    assert sum(np.exp(value) for _, value in plain[0].top) == pytest.approx(1.0)
    assert [value for _, value in plain[0].top] == sorted((value for _, value in plain[0].top), reverse=True)
    assert greedy[0].top == plain[0].top[:1] == ((greedy[0].id, greedy[0].logprob),)


def test_penalties_count_the_prompt_only_where_the_bundle_says_so() -> None:
    spec = TextSpec(ids("aaaa"), max_tokens=40, seed=2, sampling=Sampling(repetition_penalty=3.0))
    with_prompt, without = make(count_prompt=True), make(count_prompt=False)
    assert generate(with_prompt, spec)[0] != generate(without, spec)[0]


def test_nan_ends_its_row_and_leaves_the_others_as_they_were() -> None:
    stepper = make(nan_after="q")
    good = TextSpec(ids("a"), max_tokens=1, seed=1)
    alone = run(stepper, [TextRow(good)])
    outcomes = stepper.advance([TextRow(TextSpec(ids("q"))), TextRow(good), TextRow(TextSpec(ids("qa")))])
    assert [type(outcome.error) for outcome in outcomes] == [NonFiniteOutput, type(None), NonFiniteOutput]
    assert list(outcomes[1].events) == alone[0]


def test_states_are_paired_by_name(tmp_path: Path, stepper: Stepper) -> None:
    swapped = [
        StateSpec("alpha_in", "eta_out", (graphs.WIDTH,), np.dtype(np.float32), 0.25),
        StateSpec("beta_in", "zeta_out", (graphs.WIDTH,), np.dtype(np.float32), 0.0),
    ]
    graph = graphs.stepper(len(bundles.CHARACTERS), seed=1)
    session = Runtime(RuntimeOptions(provider="cpu")).session(graph.SerializeToString())
    wrong = Stepper(session, swapped, Alphabet(bundles.CHARACTERS), 64)
    spec = TextSpec(ids("a"), max_tokens=30, seed=1)
    assert generate(wrong, spec) != generate(stepper, spec)

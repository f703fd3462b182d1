"""Sequence models stepped for real, in every way: priming, drawing, ending, resuming, and keeping to themselves."""

from collections.abc import Sequence

import numpy as np
import pytest

from rhapsode_server.errors import NonFiniteOutput
from rhapsode_server.models.row import TextRow
from rhapsode_server.models.sampling import Sampling
from rhapsode_server.models.state import StateSpec
from rhapsode_server.models.stepper import Stepper
from rhapsode_server.models.text import Ended, EndReason, TextSpec
from support import graphs
from support.steppers import WAYS, Told, Way, generate, ids, make, run, tokens


@pytest.fixture(scope="module", params=WAYS)
def name(request: pytest.FixtureRequest) -> Way:
    chosen: Way = request.param
    return chosen


@pytest.fixture(scope="module")
def stepper(name: Way) -> Stepper:
    return make(name)


def text(told: Sequence[Told]) -> str:
    return "".join(token.text for token in told)


def test_a_row_ends_at_max_tokens_and_says_what_it_generated(stepper: Stepper) -> None:
    told, end = generate(stepper, TextSpec(ids("to be"), max_tokens=20, seed=3))
    assert len(told) == 20
    assert end == Ended(EndReason.MAX_TOKENS, 20)


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
    for spec, events in zip(specs, together, strict=True):
        assert generate(stepper, spec) == (tokens(events), events[-1])


@pytest.mark.parametrize("cut", [0, 1, 7, 63, 64, 65, 99, 100])
def test_a_resumed_row_goes_on_exactly_where_it_broke(stepper: Stepper, cut: int) -> None:
    sampling = Sampling(frequency_penalty=0.4, top_k=9)
    whole = TextSpec(ids("o"), max_tokens=100, seed=9, sampling=sampling, stop_sequences=("zzzzz",))
    told, end = generate(stepper, whole)
    received = tuple(token.id for token in told[:cut])
    rest, resumed_end = generate(stepper, TextSpec(ids("o"), received, sampling, 100, ("zzzzz",), 9))
    assert rest == told[cut:]
    assert resumed_end == Ended(end.reason, 100 - cut)


def test_the_end_token_ends_a_row_and_is_not_told(name: Way) -> None:
    stepper = make(name, end_token=ids(" ")[0])
    told, end = generate(stepper, TextSpec(ids("a"), max_tokens=5000, seed=1))
    assert end.reason is EndReason.END_TOKEN
    assert " " not in text(told)
    received = (*(token.id for token in told), ids(" ")[0])
    assert generate(stepper, TextSpec(ids("a"), received, max_tokens=5000, seed=1)) == (
        [],
        Ended(EndReason.END_TOKEN, 0),
    )


def test_a_stop_sequence_is_cut_and_named(stepper: Stepper) -> None:
    whole = text(generate(stepper, TextSpec(ids("a"), max_tokens=60, seed=4))[0])
    stop = whole[30:33]
    told, end = generate(stepper, TextSpec(ids("a"), max_tokens=60, seed=4, stop_sequences=(stop,)))
    assert text(told) == whole[: whole.index(stop)]
    assert end == Ended(EndReason.STOP_SEQUENCE, len(told), stop)


def test_log_probabilities_are_the_models_own_whatever_the_sampling(stepper: Stepper) -> None:
    plain = generate(stepper, TextSpec(ids("a"), max_tokens=1, seed=1, logprobs=20))[0][0].logprob
    sampling = Sampling(temperature=0.0, logit_bias=((3, 1.0),))
    greedy = generate(stepper, TextSpec(ids("a"), max_tokens=1, sampling=sampling, logprobs=1))[0][0]
    assert plain is not None
    assert greedy.logprob is not None
    values = [value for _, value in plain.top]
    assert len(values) == 20
    assert 0.9 < np.exp(values).sum() < 1.0
    assert values == sorted(values, reverse=True)
    assert list(greedy.logprob.top) == list(plain.top[:1]) == [(greedy.id, greedy.logprob.value)]


def test_a_score_tells_every_token_of_the_prompt_but_the_first(stepper: Stepper) -> None:
    spec = TextSpec(ids("the end, the end."), max_tokens=0, logprobs=2)
    told, end = generate(stepper, spec)
    assert text(told) == "he end, the end."
    assert end == Ended(EndReason.SCORED, 16)
    for place in (0, 7, 15):
        drawn = TextSpec(ids("the end, the end."[: place + 1]), max_tokens=1, logprobs=20)
        likely = generate(stepper, drawn)[0][0].logprob
        logprob = told[place].logprob
        assert likely is not None
        assert logprob is not None
        assert list(logprob.top) == list(likely.top[:2])
        assert dict(likely.top).get(told[place].id, logprob.value) == logprob.value
    assert generate(stepper, TextSpec(ids("t"), max_tokens=0, logprobs=0)) == ([], Ended(EndReason.SCORED, 0))


def test_rows_that_sit_runs_out_go_on_where_they_were(stepper: Stepper) -> None:
    specs = [TextSpec(ids("abcdefgh"[: 1 + i]), max_tokens=40, seed=i) for i in range(6)]
    rows = [TextRow(spec) for spec in specs]
    told: dict[TextRow, list[Told]] = {row: [] for row in rows}
    going, turn = list(rows), 0
    while going:
        batch = [row for number, row in enumerate(going) if (number + turn) % 3 or len(going) == 1]
        batch = batch[::-1] if turn % 2 else batch
        for row, outcome in zip(batch, stepper.advance(batch), strict=True):
            told[row] += tokens(outcome.events)
            if outcome.done:
                going.remove(row)
        turn += 1
    assert [told[row] for row in rows] == [generate(stepper, spec)[0] for spec in specs]


def test_penalties_count_the_prompt_only_where_the_bundle_says_so(name: Way) -> None:
    spec = TextSpec(ids("aaaa"), max_tokens=40, seed=2, sampling=Sampling(repetition_penalty=3.0))
    with_prompt, without = make(name, count_prompt=True), make(name, count_prompt=False)
    assert generate(with_prompt, spec)[0] != generate(without, spec)[0]


def test_nan_ends_its_row_and_leaves_the_others_as_they_were(name: Way) -> None:
    stepper = make(name, nan_after="q")
    good = TextSpec(ids("a"), max_tokens=1, seed=1)
    alone = run(stepper, [TextRow(good)])
    outcomes = stepper.advance([TextRow(TextSpec(ids("q"))), TextRow(good), TextRow(TextSpec(ids("qa")))])
    assert [type(outcome.error) for outcome in outcomes] == [NonFiniteOutput, type(None), NonFiniteOutput]
    assert list(outcomes[1].events) == alone[0]


def test_nan_in_mid_run_ends_the_row_after_the_tokens_before_it(name: Way) -> None:
    stepper, healthy = make(name, nan_after="q"), make(name)
    row = TextRow(TextSpec(ids("abcqabc"), max_tokens=0, logprobs=0))
    (outcome,) = stepper.advance([row])
    while not outcome.done:
        assert name == "plain" or outcome.events
        (outcome,) = stepper.advance([row])
    assert isinstance(outcome.error, NonFiniteOutput)
    assert text(generate(healthy, TextSpec(ids("abcqabc"), max_tokens=0, logprobs=0))[0]) == "bcqabc"


def test_states_are_paired_by_name(name: Way, stepper: Stepper) -> None:
    swapped = [
        StateSpec("alpha_in", "eta_out", (graphs.WIDTH,), np.dtype(np.float32), 0.25),
        StateSpec("beta_in", "zeta_out", (graphs.WIDTH,), np.dtype(np.float32), 0.0),
    ]
    spec = TextSpec(ids("a"), max_tokens=30, seed=1)
    assert generate(make(name, states=swapped), spec) != generate(stepper, spec)

"""The fused step draws what the numpy sampler draws, and a graph that cannot be fused says why."""

import dataclasses
from collections.abc import Sequence

import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, version_converter

from rhapsode_server.models import fuse
from rhapsode_server.models.budget import RunBudget
from rhapsode_server.models.fuse.sampler import FIRST_LOOK
from rhapsode_server.models.row import Alphabet, TextRow
from rhapsode_server.models.sampling import Sampling
from rhapsode_server.models.stepper import Stepper
from rhapsode_server.models.text import TextSpec
from support import graphs
from support.margins import near_a_boundary
from support.steppers import STATES, Way, run, tokens, way

SIZES = (2, 30, 3 * FIRST_LOOK)
FUSED: tuple[Way, ...] = ("loop", "padded", "unrolled")


def alphabet(size: int) -> Alphabet:
    return Alphabet(tuple(chr(ord("一") + token) for token in range(size)))


def samplings(size: int) -> st.SearchStrategy[Sampling]:
    bias = st.lists(
        st.tuples(st.integers(0, size - 1), st.floats(-9, 9, width=32)), max_size=3, unique_by=lambda b: b[0]
    )
    return st.builds(
        Sampling,
        temperature=st.sampled_from([0.0, 1e-30, 0.3, 1.0, 2.5, 100.0]),
        top_k=st.sampled_from([0, 1, 3, 20, size, 300]),
        top_p=st.sampled_from([1e-6, 0.3, 0.9, 0.999, 1.0]),
        min_p=st.sampled_from([0.0, 0.0, 0.1, 1.0]),
        repetition_penalty=st.sampled_from([1.0, 0.5, 1.3]),
        presence_penalty=st.sampled_from([0.0, -1.0, 0.7]),
        frequency_penalty=st.sampled_from([0.0, 0.2]),
        logit_bias=st.just(()) | bias.map(tuple),
    )


@st.composite
def specs(draw: st.DrawFn, size: int) -> TextSpec:
    some = st.lists(st.integers(0, size - 1), min_size=1, max_size=9).map(tuple)
    received = draw(st.just(()) | some)
    return TextSpec(
        prompt=draw(some),
        received=received,
        sampling=draw(samplings(size)),
        max_tokens=len(received) + draw(st.integers(0 if received else 1, 20)),
        seed=draw(st.integers(0, 2**64 - 1)),
        logprobs=draw(st.none() | st.integers(0, 5)),
    )


STEPPERS = {
    (size, name): Stepper(
        way(name, graphs.stepper(size, seed=size), alphabet(size), steps=5), alphabet(size), RunBudget(60.0, 5), 40
    )
    for size in SIZES
    for name in ("plain", *FUSED)
}


def perform(size: int, name: Way, asked: Sequence[TextSpec]) -> list[list[tuple[int, float | None]]]:
    """Each row's tokens, with their log-probabilities where they are asked for."""
    told = [tokens(events, alphabet(size).tokens) for events in run(STEPPERS[size, name], [TextRow(s) for s in asked])]
    return [[(token.id, token.logprob.value if token.logprob else None) for token in row] for row in told]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", FUSED)
@settings(deadline=None, max_examples=25)
@given(data=st.data())
def test_token_for_token_the_fused_graph_draws_what_numpy_draws(name: Way, size: int, data: st.DataObject) -> None:
    """Or the uniform draw, or a filter's edge, lies within float error of a boundary, and that is shown."""
    asked = data.draw(st.lists(specs(size), min_size=1, max_size=6))
    for spec, ours, theirs in zip(asked, perform(size, name, asked), perform(size, "plain", asked), strict=True):
        for place, ((token, logprob), (other, reference)) in enumerate(zip(ours, theirs, strict=True)):
            if token != other:
                before = tuple(identity for identity, _ in theirs[:place])
                assert near_a_boundary(graphs.stepper(size, seed=size), spec, before, token, other)
                break
            assert logprob == pytest.approx(reference, abs=1e-5)


@pytest.mark.parametrize("name", FUSED)
def test_what_is_told_does_not_hang_on_how_a_run_is_cut(name: Way) -> None:
    sampling = Sampling(top_p=0.8, presence_penalty=0.4)
    asked = [TextSpec((3, 4, 5), sampling=sampling, max_tokens=23, seed=seed, logprobs=3) for seed in range(5)]
    whole = [
        tokens(events, alphabet(30).tokens) for events in run(STEPPERS[30, name], [TextRow(spec) for spec in asked])
    ]
    single = Stepper(
        way(name, graphs.stepper(30, seed=30), alphabet(30), steps=1), alphabet(30), RunBudget(60.0, 1), 40
    )
    assert [tokens(events, alphabet(30).tokens) for events in run(single, [TextRow(spec) for spec in asked])] == whole


def test_a_filter_in_company_does_not_move_the_others() -> None:
    """A neighbour's top-p alone makes the graph look at every rank, and its top-k at few."""
    size = SIZES[-1]
    mine = [
        TextSpec((9,), sampling=Sampling(top_k=k, top_p=p), max_tokens=12, seed=7) for k in (0, 40) for p in (0.7, 1)
    ]
    alone = [perform(size, "loop", [spec])[0] for spec in mine]
    others = [TextSpec((8,), sampling=Sampling(top_p=0.9999), max_tokens=12), TextSpec((7,), max_tokens=3)]
    assert perform(size, "loop", [*others, *mine])[2:] == alone


def perform_with(stepper: Stepper, spec: TextSpec) -> list[int]:
    return [token.id for token in tokens(run(stepper, [TextRow(spec)])[0], alphabet(30).tokens)]


def rewired(change: str) -> onnx.ModelProto:
    """The tiny step graph with one thing wrong with it."""
    model = graphs.stepper(30, seed=1)
    values = {value.name: value for value in (*model.graph.input, *model.graph.output)}
    if change == "fixed batch":
        values["beta_in"].type.tensor_type.shape.dim[0].dim_value = 1
    elif change == "state shape":
        values["eta_out"].type.tensor_type.shape.dim[1].dim_value = graphs.WIDTH + 1
    elif change == "state type":
        values["alpha_in"].type.tensor_type.elem_type = TensorProto.FLOAT16
    elif change == "vocabulary":
        values["logits"].type.tensor_type.shape.dim[1].dim_value = 31
    elif change == "new opset":
        model.opset_import[0].version = 99
    elif change == "old opset":
        model.opset_import[0].version = 6  # which the converter cannot bring up: Gather has no such history
        model.graph.node.append(helper.make_node("Upsample", ["x"], ["unused"], mode="nearest"))
    elif change == "more inputs":
        model.graph.input.append(helper.make_tensor_value_info("clock", TensorProto.FLOAT, ["batch"]))
    return model


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("fixed batch", "beta_in has no batch axis"),
        ("state shape", "eta_out has another shape than"),
        ("state type", "alpha_in has another type"),
        ("vocabulary", "logits has another shape than"),
        ("new opset", "opset 99 is newer"),
        ("old opset", "opset 6 cannot be converted"),
        ("more inputs", "differ in clock"),
    ],
)
def test_what_cannot_be_fused_says_why(change: str, reason: str) -> None:
    content = rewired(change).SerializeToString()
    with pytest.raises(fuse.Unfusable, match=reason):
        fuse.loop(content, STATES, 30)
    with pytest.raises(fuse.Unfusable, match=reason):
        fuse.unrolled(content, STATES, 30, 2, 4, 1)


def test_states_that_are_not_the_graphs_are_not_fused() -> None:
    strange = [STATES[0], dataclasses.replace(STATES[1], input="gamma_in")]
    with pytest.raises(fuse.Unfusable, match="differ in beta_in, gamma_in"):
        fuse.loop(graphs.stepper(30, seed=1).SerializeToString(), strange, 30)


def test_an_older_opset_is_brought_up() -> None:
    old = version_converter.convert_version(graphs.stepper(30, seed=1), 17)
    stepped = Stepper(way("loop", old, alphabet(30)), alphabet(30), RunBudget(60.0, 5), 40)
    spec = TextSpec((4,), max_tokens=20, seed=3)
    new = Stepper(way("loop", graphs.stepper(30, seed=1), alphabet(30)), alphabet(30), RunBudget(60.0, 5), 40)
    assert perform_with(stepped, spec) == perform_with(new, spec)


def test_a_step_with_branches_of_its_own_is_fused() -> None:
    """Names inside its subgraphs are followed, in every copy of the unrolled form."""
    model = graphs.stepper(30, seed=1)
    model.graph.node[-1].output[0] = "plain_logits"
    doubled = helper.make_graph(
        [helper.make_node("Add", ["plain_logits", "plain_logits"], ["twice"])],
        "then",
        [],
        [helper.make_tensor_value_info("twice", TensorProto.FLOAT, None)],
    )
    kept = helper.make_graph(
        [helper.make_node("Identity", ["plain_logits"], ["once"])],
        "else",
        [],
        [helper.make_tensor_value_info("once", TensorProto.FLOAT, None)],
    )
    model.graph.initializer.append(helper.make_tensor("axes", TensorProto.INT64, [2], [0, 1]))
    model.graph.node.extend(
        [
            helper.make_node("ReduceMax", ["plain_logits", "axes"], ["peak"], keepdims=0),
            helper.make_node("Greater", ["peak", "peak"], ["never"]),
            helper.make_node("If", ["never"], ["logits"], then_branch=doubled, else_branch=kept),
        ]
    )
    spec = TextSpec((4,), max_tokens=20, seed=3)
    plain = Stepper(way("plain", graphs.stepper(30, seed=1), alphabet(30)), alphabet(30), RunBudget(60.0, 5), 40)
    for name in FUSED:
        stepped = Stepper(way(name, model, alphabet(30), steps=5), alphabet(30), RunBudget(60.0, 5), 40)
        assert perform_with(stepped, spec) == perform_with(plain, spec)


def test_what_counts_as_a_boundary_is_narrow() -> None:
    """The excuse for a difference is no excuse for a token that the draw is far from."""
    model, spec = graphs.stepper(30, seed=30), TextSpec((4,), max_tokens=8, seed=3)
    drawn = [token for token, _ in perform(30, "plain", [spec])[0]]
    excused = [
        sum(
            near_a_boundary(model, spec, drawn[:place], drawn[place], other)
            for other in range(30)
            if other != drawn[place]
        )
        for place in range(len(drawn))
    ]
    assert sum(excused) <= 1

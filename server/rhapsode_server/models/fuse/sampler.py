"""The sampler as nodes: the operations of `models.sampling`, in the same order.

What stands on the drawing path gives a row the same bits at every place in every batch: comparisons, elementwise
arithmetic, Exp, ReduceMax, CumSum and TopK. No Softmax, ReduceSum or Log stands there: their bits depend on the row's
place. A filter is a threshold on the row's own weights, so that neither another row's k nor its p moves it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from onnx import TensorProto

from rhapsode_server.models.fuse import wiring
from rhapsode_server.models.fuse.nodes import Nodes

# Sorting a vocabulary of 50,000 costs milliseconds a row; top-p seldom has to look deeper than this.
FIRST_LOOK = 256
_FLOAT = TensorProto.FLOAT


@dataclass(frozen=True, slots=True)
class Drawn:
    """Names of what a step gives: see the outputs in `wiring`, and the counts with this token counted."""

    token: str
    sound: str
    told: Sequence[str]
    counts: str


def draw(nodes: Nodes, logits: str, counts: str, forced: str, uniform: str, vocabulary: int) -> Drawn:
    """Choose the tokens of one step from float32 logits [b, V]; `forced` and `uniform` [b] are this step's."""
    (adjusted,) = nodes.choose(wiring.ADJUSTS, lambda inner: [_adjusted(inner, logits, counts)], lambda _: [logits])
    shifted = nodes.add("Sub", adjusted, _largest(nodes, adjusted))
    weights = nodes.add("Exp", nodes.add("Div", shifted, wiring.TEMPERATURE))
    kept, raw_total = nodes.choose(
        wiring.FILTERS,
        lambda inner: [_filtered(inner, weights, vocabulary), _total(inner, _reached(inner, weights))],
        lambda inner: [weights, inner.scalar(1.0)],
    )
    reached = _reached(nodes, kept)
    total = _total(nodes, reached)
    drawn = _inverted(nodes, reached, total, uniform)
    is_forced = nodes.add("GreaterOrEqual", forced, nodes.scalar(0, np.int64))
    token = nodes.add("Where", is_forced, forced, drawn)
    # The likeliest token weighs 1, so a total below that is NaN: from NaN or +∞ among the logits, or nothing but −∞.
    one = nodes.scalar(1.0)
    sound = nodes.add("And", nodes.add("GreaterOrEqual", total, one), nodes.add("GreaterOrEqual", raw_total, one))
    told = nodes.choose(wiring.TELLS, lambda inner: _told(inner, logits, token), _untold)
    # What is forced was counted, or not, when the run began.
    new = nodes.add("Where", is_forced, nodes.scalar(-1, np.int64), drawn)
    (counted,) = nodes.choose(
        wiring.ADJUSTS, lambda inner: [_counted(inner, counts, new, vocabulary)], lambda _: [counts]
    )
    return Drawn(token, nodes.add("Squeeze", sound, nodes.integers(1)), told, counted)


def _adjusted(nodes: Nodes, logits: str, counts: str) -> str:
    """Logits after bias and penalties."""
    zero = nodes.scalar(0.0)
    biased = nodes.add("Add", logits, wiring.BIAS)
    occurred = nodes.add("Greater", counts, zero)
    penalised = nodes.add(
        "Where",
        nodes.add("Greater", biased, zero),
        nodes.add("Div", biased, wiring.REPETITION),
        nodes.add("Mul", biased, wiring.REPETITION),
    )
    repeated = nodes.add("Where", occurred, penalised, biased)
    once = nodes.add("Mul", wiring.PRESENCE, nodes.add("Cast", occurred, to=_FLOAT))
    present = nodes.add("Sub", repeated, once)
    return nodes.add("Sub", present, nodes.add("Mul", wiring.FREQUENCY, counts))


def _filtered(nodes: Nodes, weights: str, vocabulary: int) -> str:
    """Weights with those that a filter drops set to zero; ties stay together."""
    if vocabulary <= 2 * FIRST_LOOK or not nodes.branches:
        threshold = _threshold(nodes, weights, wiring.DEPTH)[0]
    else:
        shallow, enough = _threshold(nodes, weights, nodes.add("Min", wiring.DEPTH, nodes.integers(FIRST_LOOK)))
        (threshold,) = nodes.choose(
            enough, lambda _: [shallow], lambda inner: [_threshold(inner, weights, wiring.DEPTH)[0]]
        )
    return _above(nodes, weights, nodes.add("Max", threshold, wiring.MIN_P))


def _threshold(nodes: Nodes, weights: str, depth: str) -> tuple[str, str]:
    """The least weight [b, 1] that top-k and top-p keep, and whether looking at so many ranks was enough (bool []).

    Ranks are told apart by weight alone, so a row's result is the same at any depth that is enough for it.
    """
    falling = nodes.add_many("TopK", weights, depth, outputs=2, axis=1, largest=1, sorted=1)[0]
    limited = nodes.add("Greater", wiring.KEPT, nodes.scalar(0, np.int64))
    last = nodes.add("Sub", nodes.add("Min", wiring.KEPT, depth), nodes.integers(1))
    rank = nodes.add("Max", last, nodes.integers(0))
    least = nodes.add("Where", limited, nodes.add("GatherElements", falling, rank, axis=1), nodes.scalar(0.0))
    # Top-p is a share of what top-k has left, summed in vocabulary order.
    left = _total(nodes, _reached(nodes, _above(nodes, weights, least)))
    ranked = _reached(nodes, _above(nodes, falling, least))
    passed = nodes.add("Cast", nodes.add("GreaterOrEqual", ranked, nodes.add("Mul", wiring.TOP_P, left)), to=_FLOAT)
    first = nodes.add("ArgMax", passed, axis=1, keepdims=1)
    found = nodes.add("Greater", nodes.add("GatherElements", passed, first, axis=1), nodes.scalar(0.5))
    shares = nodes.add("Less", wiring.TOP_P, nodes.scalar(1.0))
    nucleus = nodes.add("GatherElements", falling, first, axis=1)
    threshold = nodes.add("Where", nodes.add("And", shares, found), nucleus, least)
    by_rank = nodes.add("And", limited, nodes.add("LessOrEqual", wiring.KEPT, depth))
    by_share = nodes.add("And", nodes.add("Not", limited), nodes.add("Or", found, nodes.add("Not", shares)))
    unsettled = nodes.add("Cast", nodes.add("Not", nodes.add("Or", by_rank, by_share)), to=_FLOAT)
    worst = nodes.add("ReduceMax", unsettled, nodes.integers(0, 1), keepdims=0)
    return threshold, nodes.add("Less", worst, nodes.scalar(0.5))


def _above(nodes: Nodes, values: str, least: str) -> str:
    """Values that are at least `least`, zero in place of the others."""
    return nodes.add("Where", nodes.add("GreaterOrEqual", values, least), values, nodes.scalar(0.0))


def _inverted(nodes: Nodes, reached: str, total: str, uniform: str) -> str:
    """The first token [b] at which the cumulative weight passes uniform × total.

    The product can round up to the total: then the first token that reaches the total, the last with any weight.
    """
    passed = nodes.add("Greater", reached, nodes.add("Mul", uniform, total))
    ended = nodes.add("GreaterOrEqual", reached, total)
    hit = nodes.add("Cast", nodes.add("Or", passed, ended), to=_FLOAT)
    return nodes.add("ArgMax", hit, axis=1, keepdims=0)


def _counted(nodes: Nodes, counts: str, token: str, vocabulary: int) -> str:
    """Counts with a token more; −1 is none."""
    every = nodes.constant(np.arange(vocabulary, dtype=np.int64)[None])
    hit = nodes.add("Equal", every, nodes.column(token))
    return nodes.add("Add", counts, nodes.add("Cast", hit, to=_FLOAT))


def _told(nodes: Nodes, logits: str, token: str) -> Sequence[str]:
    """Under the model itself, before bias, penalties, temperature and filters; the sum in double precision."""
    shifted = nodes.add("Sub", logits, _largest(nodes, logits))
    chosen = nodes.add("GatherElements", shifted, nodes.column(token), axis=1)
    wide = nodes.add("Cast", nodes.add("Exp", shifted), to=TensorProto.DOUBLE)
    total = _total(nodes, _reached(nodes, wide))
    values, ids = nodes.add_many("TopK", shifted, wiring.RANKS, outputs=2, axis=1, largest=1, sorted=1)
    one = nodes.integers(1)
    return [nodes.add("Squeeze", chosen, one), nodes.add("Squeeze", total, one), values, ids]


def _untold(nodes: Nodes) -> Sequence[str]:
    shapes = (((1,), np.float32), ((1,), np.float64), ((1, 1), np.float32), ((1, 1), np.int64))
    return [nodes.constant(np.zeros(shape, dtype)) for shape, dtype in shapes]


def _largest(nodes: Nodes, values: str) -> str:
    return nodes.add("ReduceMax", values, nodes.integers(1), keepdims=1)


def _reached(nodes: Nodes, weights: str) -> str:
    return nodes.add("CumSum", weights, nodes.scalar(1, np.int64))


def _total(nodes: Nodes, reached: str) -> str:
    """The last cumulative weight: [b, 1]."""
    return nodes.add("Gather", reached, nodes.integers(-1), axis=1)

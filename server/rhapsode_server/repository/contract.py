"""The tensors that each role must have, and what a step graph may declare beside them."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from rhapsode.v1 import bundle_pb2
from rhapsode.v1.bundle_pb2 import Bundle, Graph, StatePair
from rhapsode_server.repository import limits
from rhapsode_server.repository.problems import Problem
from rhapsode_server.repository.sequences import reads_texts
from rhapsode_server.repository.tensors import BATCH, Comparison, Tensor, declared, floats, integers


def check(bundle: Bundle, graph: Graph) -> Iterator[Problem]:
    """What a graph's declaration in bundle.json has against the contract of its role."""
    if max(len(graph.inputs), len(graph.outputs), len(graph.states)) > limits.DECLARED:
        yield Problem("G10", graph.file, f"declares more than {limits.DECLARED} inputs, outputs or states")
        return
    if any(len(spec.shape) > limits.AXES for spec in (*graph.inputs, *graph.outputs)):
        yield Problem("G10", graph.file, f"declares a tensor of more than {limits.AXES} axes")
        return
    yield from _state_problems(graph)
    comparison = Comparison("G5", graph.file, "bundle.json", "the role asks for")
    yield from comparison.problems([declared(spec) for spec in graph.inputs], inputs(bundle, graph))
    yield from comparison.problems([declared(spec) for spec in graph.outputs], outputs(bundle, graph))


def inputs(bundle: Bundle, graph: Graph) -> Sequence[Tensor]:
    """The inputs that a graph of this role must have."""
    if graph.role == bundle_pb2.GRAPH_ROLE_STEP:
        return [integers("token"), *_states(graph, lambda pair: pair.input)]
    if graph.role == bundle_pb2.GRAPH_ROLE_DECODE:
        return [floats("latent", bundle.latent.size), *_class_id(bundle)]
    if graph.role == bundle_pb2.GRAPH_ROLE_DENOISE:
        return [_image(bundle), floats("time"), *_class_id(bundle)]
    if graph.role == bundle_pb2.GRAPH_ROLE_GIBBS:
        state, noise = floats("state", bundle.gibbs.state_size), floats("uniform", bundle.gibbs.noise_size)
        return [state, noise, *_class_id(bundle)]
    if graph.role == bundle_pb2.GRAPH_ROLE_TRANSFORM and not bundle.HasField("image"):
        return [declared(spec) for spec in graph.inputs]  # whatever they are
    if reads_texts(bundle):
        return [integers("tokens", bundle.sequence.longest_prompt), integers("length")]
    return [_image(bundle)]


def outputs(bundle: Bundle, graph: Graph) -> Sequence[Tensor]:
    """The outputs that a graph of this role must have."""
    if graph.role == bundle_pb2.GRAPH_ROLE_STEP:
        # A next state has the type and shape of the state that it replaces.
        logits = floats("logits", len(bundle.sequence.vocabulary.tokens))
        return [logits, *_states(graph, lambda pair: pair.output)]
    if graph.role == bundle_pb2.GRAPH_ROLE_DECODE:
        return [_image(bundle)]
    if graph.role == bundle_pb2.GRAPH_ROLE_ENCODE:
        return [floats("mean", bundle.latent.size), floats("log_variance", bundle.latent.size)]
    if graph.role == bundle_pb2.GRAPH_ROLE_DENOISE:
        return [_image(bundle, "noise")]
    if graph.role == bundle_pb2.GRAPH_ROLE_GIBBS:
        return [floats("next_state", bundle.gibbs.state_size), _image(bundle)]
    if graph.role == bundle_pb2.GRAPH_ROLE_TRANSFORM:
        found = [declared(spec) for spec in graph.outputs]
        return [_image(bundle, "transformed")] if bundle.HasField("image") else found
    if reads_texts(bundle):
        return [floats("class_logits", len(bundle.classes))]
    return [floats("realness"), *_class_logits(bundle, graph)]


def _image(bundle: Bundle, name: str = "image") -> Tensor:
    return floats(name, bundle.image.channels, bundle.image.height, bundle.image.width)


def _class_id(bundle: Bundle) -> Sequence[Tensor]:
    return [integers("class_id")] if bundle.classes else []


def _class_logits(bundle: Bundle, graph: Graph) -> Sequence[Tensor]:
    """A critic beside a generator may tell classes apart; one that stands alone and has classes must."""
    told = any(spec.name == "class_logits" for spec in graph.outputs)
    alone = bundle.kind == bundle_pb2.MODEL_KIND_CRITIC
    return [floats("class_logits", len(bundle.classes))] if bundle.classes and (told or alone) else []


def _states(graph: Graph, name: Callable[[StatePair], str]) -> list[Tensor]:
    """The input of each state pair, under another name."""
    given = {spec.name: declared(spec) for spec in graph.inputs}
    return [replace(given[pair.input], name=name(pair)) for pair in graph.states if pair.input in given]


def _state_problems(graph: Graph) -> Iterator[Problem]:
    where = f"{graph.file}: states"
    if graph.role != bundle_pb2.GRAPH_ROLE_STEP:
        if graph.states:
            yield Problem("G7", where, "only a step graph has states")
        return
    names = Counter(name for pair in graph.states for name in (pair.input, pair.output))
    for name in sorted(name for name, count in names.items() if count > 1 or name in {"token", "logits", ""}):
        yield Problem("G7", where, f"{name!r} cannot be a state, or stands in two pairs")
    given = {spec.name: declared(spec) for spec in graph.inputs}
    for pair in graph.states:
        if pair.input not in given:
            yield Problem("G7", where, f"{pair.input!r} is not an input")
        else:
            yield from _pair_problems(where, pair, given[pair.input])
    numbers = sum(prod(axis for axis in given[name].shape if isinstance(axis, int)) for name in names if name in given)
    if numbers > limits.STATE_NUMBERS:
        yield Problem("G7", where, f"hold {numbers} numbers a row, the most is {limits.STATE_NUMBERS}")


def _pair_problems(where: str, pair: StatePair, state: Tensor) -> Iterator[Problem]:
    if state.dtype is None:
        yield Problem("G7", where, f"{pair.input!r} has no type")
        return
    if state.shape[:1] != (BATCH,) or not all(isinstance(axis, int) for axis in state.shape[1:]):
        yield Problem("G7", where, f"{pair.input!r} is {state}; a state is [batch, sizes…]")
    if not fits(pair.initial_value, state.dtype):
        yield Problem("G7", where, f"{pair.input!r} cannot begin as {pair.initial_value} in {state.dtype}")


def fits(value: float, dtype: np.dtype[Any]) -> bool:
    """Whether a number can be stored: finite in a float, exactly in anything else."""
    if dtype.kind == "f":
        return bool(abs(value) <= float(np.finfo(dtype).max))
    low, high = (0, 1) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    return value.is_integer() and low <= value <= high

"""The two forms of a fused graph: a Loop of any number of steps, and a fixed number of steps unrolled."""

from collections.abc import Sequence

import numpy as np
from onnx import GraphProto, TensorProto, ValueInfoProto, helper, numpy_helper

from rhapsode_server.models.fuse import sampler, step, wiring
from rhapsode_server.models.fuse.nodes import Nodes, untyped
from rhapsode_server.models.fuse.step import Step
from rhapsode_server.models.state import StateSpec

_WIDE = (wiring.BIAS, wiring.COUNTS)
_FLAGS = (wiring.ADJUSTS, wiring.FILTERS, wiring.TELLS)
_TOLD_TYPES = (TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT, TensorProto.INT64)
_SCANNED = (*wiring.MADE, *wiring.TOLD)
_SCANNED_TYPES = (TensorProto.INT64, TensorProto.BOOL, *_TOLD_TYPES)


def loop(content: bytes, states: Sequence[StateSpec], vocabulary: int) -> bytes:
    """The step graph in a Loop: serialised ONNX with the inputs and outputs of `wiring`. Raises Unfusable.

    `vocabulary` is the number of tokens, the last axis of its logits.
    """
    inner = step.read(content, states, vocabulary)
    nodes = _begun(Nodes())
    carried = [nodes.name("token"), *(nodes.name("state") for _ in states), nodes.name("counts")]
    body = _body(Nodes(nodes), inner, carried)
    fed = [wiring.TOKEN, *_gathered(nodes, states), wiring.COUNTS]
    left = [nodes.name("token"), *(wiring.state(number) for number in range(len(states))), nodes.name("counts")]
    always = nodes.scalar(1, np.bool_)
    nodes.nodes.append(helper.make_node("Loop", [wiring.STEPS, always, *fed], [*left, *_SCANNED], body=body))
    flags = [helper.make_tensor_value_info(name, TensorProto.BOOL, []) for name in _FLAGS]
    counted = [helper.make_tensor_value_info(wiring.STEPS, TensorProto.INT64, [])]
    ranks = [helper.make_tensor_value_info(name, TensorProto.INT64, [1]) for name in (wiring.DEPTH, wiring.RANKS)]
    return _whole(nodes, inner, [*counted, *_inputs(inner, "rows", "steps"), *ranks, *flags])


def unrolled(content: bytes, states: Sequence[StateSpec], vocabulary: int, steps: int, rows: int, ranks: int) -> bytes:
    """`steps` steps of `rows` rows one after another, no control flow, every option computed. Raises Unfusable.

    The likeliest `ranks` tokens are told; everything else as in `loop`.
    """
    inner = step.read(content, states, vocabulary)
    nodes = _begun(Nodes(branches=False))
    token, values, counts = wiring.TOKEN, _gathered(nodes, states), wiring.COUNTS
    made: list[list[str]] = []
    for number in range(steps):
        logits, values = inner.place(nodes, token, values)
        forced, uniform = (
            nodes.add("Gather", name, nodes.scalar(number, np.int64), axis=0)
            for name in (wiring.FORCED, wiring.UNIFORM)
        )
        drawn = sampler.draw(nodes, logits, counts, forced, uniform, vocabulary)
        token, counts = drawn.token, drawn.counts
        made.append([drawn.token, drawn.sound, *drawn.told])
    for name, parts in zip(_SCANNED, zip(*made, strict=True), strict=True):
        stacked = [nodes.add("Unsqueeze", part, nodes.integers(0)) for part in parts]
        nodes.nodes.append(helper.make_node("Concat", stacked, [name], axis=0))
    for number, value in enumerate(values):
        nodes.alias(value, wiring.state(number))
    fixed = {wiring.DEPTH: vocabulary, wiring.RANKS: min(ranks, vocabulary)}
    constants = [numpy_helper.from_array(np.array([size], np.int64), name) for name, size in fixed.items()]
    return _whole(nodes, inner, _inputs(inner, rows, steps), constants)


def _body(nodes: Nodes, inner: Step, carried: Sequence[str]) -> GraphProto:
    """One iteration: (number, condition, token, states, counts) → (condition, those, what is gathered)."""
    number, going = nodes.name("number"), nodes.name("going")
    logits, values = inner.place(nodes, carried[0], carried[1:-1])
    forced, uniform = (nodes.add("Gather", name, number, axis=0) for name in (wiring.FORCED, wiring.UNIFORM))
    drawn = sampler.draw(nodes, logits, carried[-1], forced, uniform, inner.vocabulary)
    given = [going, drawn.token, *values, drawn.counts, drawn.token, drawn.sound, *drawn.told]
    outputs = [nodes.name("out") for _ in given]
    for value, output in zip(given, outputs, strict=True):
        nodes.alias(value, output)
    types = [TensorProto.INT64, *(_type(value) for value in inner.inputs), TensorProto.FLOAT]
    inputs = [
        helper.make_tensor_value_info(number, TensorProto.INT64, []),
        helper.make_tensor_value_info(going, TensorProto.BOOL, []),
        *(helper.make_tensor_value_info(name, kind, None) for name, kind in zip(carried, types, strict=True)),
    ]
    return helper.make_graph(nodes.nodes, "step", inputs, [untyped(name) for name in outputs])


def _begun(nodes: Nodes) -> Nodes:
    """Take the options apart."""
    *floats, kept = nodes.add_many(
        "Split", wiring.OPTIONS, outputs=len(wiring.COLUMNS), axis=1, num_outputs=len(wiring.COLUMNS)
    )
    for value, name in zip(floats, wiring.COLUMNS[:-1], strict=True):
        nodes.alias(value, name)
    nodes.alias(nodes.add("Cast", kept, to=TensorProto.INT64), wiring.KEPT)
    return nodes


def _gathered(nodes: Nodes, states: Sequence[StateSpec]) -> list[str]:
    """Each row's states, picked from those of the last run, those that join, and the initial one at the end."""
    picked = []
    for number, state in enumerate(states):
        initial = nodes.constant(state.initial[None])
        every = nodes.add("Concat", wiring.last(number), wiring.joined(number), initial, axis=0)
        picked.append(nodes.add("Gather", every, wiring.ROWS, axis=0))
    return picked


def _inputs(inner: Step, rows: int | str, steps: int | str) -> list[ValueInfoProto]:
    integers, floats = TensorProto.INT64, TensorProto.FLOAT
    row_wise = [
        helper.make_tensor_value_info(wiring.TOKEN, integers, [rows]),
        helper.make_tensor_value_info(wiring.ROWS, integers, [rows]),
        helper.make_tensor_value_info(wiring.FORCED, integers, [steps, rows]),
        helper.make_tensor_value_info(wiring.UNIFORM, floats, [steps, rows, 1]),
        helper.make_tensor_value_info(wiring.OPTIONS, floats, [rows, len(wiring.COLUMNS)]),
        *(helper.make_tensor_value_info(name, floats, [f"{name} rows", f"{name} tokens"]) for name in _WIDE),
    ]
    for number, (state, value) in enumerate(zip(inner.states, inner.inputs, strict=True)):
        row_wise.extend(
            helper.make_tensor_value_info(name, _type(value), [f"{name} rows", *state.shape])
            for name in (wiring.last(number), wiring.joined(number))
        )
    return row_wise


def _whole(nodes: Nodes, inner: Step, inputs: Sequence[ValueInfoProto], constants: Sequence[TensorProto] = ()) -> bytes:
    graph = inner.model.graph
    made = helper.make_graph(
        nodes.nodes,
        "fused",
        inputs,
        _outputs(inner),
        [*graph.initializer, *nodes.constants, *constants],
        sparse_initializer=graph.sparse_initializer,
    )
    whole = helper.make_model(made, opset_imports=inner.model.opset_import, ir_version=inner.model.ir_version)
    return bytes(whole.SerializeToString())


def _outputs(inner: Step) -> list[ValueInfoProto]:
    scanned = [
        helper.make_tensor_value_info(name, kind, None) for name, kind in zip(_SCANNED, _SCANNED_TYPES, strict=True)
    ]
    states = [
        helper.make_tensor_value_info(wiring.state(number), _type(value), ["rows", *state.shape])
        for number, (state, value) in enumerate(zip(inner.states, inner.inputs, strict=True))
    ]
    return [*scanned, *states]


def _type(value: ValueInfoProto) -> int:
    return int(value.type.tensor_type.elem_type)

"""A bundle's step graph, taken apart so that it can stand inside another one."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import onnx
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto, version_converter

from rhapsode_server.models.fuse.nodes import Nodes
from rhapsode_server.models.fuse.wiring import PREFIX
from rhapsode_server.models.state import StateSpec

TOKEN = "token"  # noqa: S105 - a tensor's name
LOGITS = "logits"
OPSETS = range(18, 27)  # between them the operators that we add have one form
FLOATS = frozenset({TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.BFLOAT16})


class Unfusable(Exception):
    """The step graph cannot stand inside a loop; the message says why."""


@dataclass(frozen=True, slots=True)
class Step:
    """A step graph that can be fused: logits [batch, V] from token [batch] and states [batch, …]."""

    model: ModelProto
    states: Sequence[StateSpec]
    vocabulary: int

    @property
    def inputs(self) -> Sequence[ValueInfoProto]:
        """The states' inputs, in the order of `states`."""
        found = {value.name: value for value in self.model.graph.input}
        return [found[state.input] for state in self.states]

    def place(self, nodes: Nodes, token: str, states: Sequence[str]) -> tuple[str, list[str]]:
        """Put a copy of the step among the nodes: the names of its logits (float32) and of its next states."""
        fed = dict(zip((TOKEN, *(state.input for state in self.states)), (token, *states), strict=True))
        names = fed | {name: nodes.name(name) for node in self.model.graph.node for name in node.output if name}
        nodes.nodes.extend(_renamed(node, names) for node in self.model.graph.node)
        logits = nodes.add("Cast", names.get(LOGITS, LOGITS), to=TensorProto.FLOAT)
        return logits, [names.get(state.output, state.output) for state in self.states]


def read(content: bytes, states: Sequence[StateSpec], vocabulary: int) -> Step:
    """Parse a step graph. Raises Unfusable where it does not fit the states, or has no operators that fit ours."""
    model = _converted(onnx.load_model_from_string(content))
    problem = next(_problems(model, states, vocabulary), None)
    if problem:
        raise Unfusable(problem)
    return Step(model, tuple(states), vocabulary)


def _converted(model: ModelProto) -> ModelProto:
    version = next((entry.version for entry in model.opset_import if entry.domain in {"", "ai.onnx"}), 0)
    if version in OPSETS:
        return model
    if version > OPSETS[-1]:
        raise Unfusable(f"opset {version} is newer than {OPSETS[-1]}")
    try:
        return version_converter.convert_version(model, OPSETS[0])
    except Exception as error:  # the converter raises whatever C++ gives it
        raise Unfusable(f"opset {version} cannot be converted to {OPSETS[0]}") from error


def _problems(model: ModelProto, states: Sequence[StateSpec], vocabulary: int) -> Iterator[str]:
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = {value.name: value for value in model.graph.input if value.name not in weights}
    outputs = {value.name: value for value in model.graph.output}
    if missing := {TOKEN, *(state.input for state in states)} ^ inputs.keys():
        yield f"the inputs and the declared ones differ in {', '.join(sorted(missing))}"
    if missing := {LOGITS, *(state.output for state in states)} - outputs.keys():
        yield f"there is no output {', '.join(sorted(missing))}"
    if model.functions:
        yield "it defines functions of its own"
    if any(name.startswith(PREFIX) for node in model.graph.node for name in node.output):
        yield f"a tensor's name begins with {PREFIX}"
    yield from _shape_problem(inputs[TOKEN], [], {TensorProto.INT64})
    yield from _shape_problem(outputs[LOGITS], [vocabulary], FLOATS)
    for state in states:
        kind = {onnx.helper.np_dtype_to_tensor_dtype(state.dtype)}
        yield from _shape_problem(inputs[state.input], list(state.shape), kind)
        yield from _shape_problem(outputs[state.output], list(state.shape), kind)


def _shape_problem(value: ValueInfoProto, wanted: list[int], kinds: Collection[int]) -> Iterator[str]:
    kind = value.type.tensor_type
    axes = kind.shape.dim
    if not axes or axes[0].dim_value:
        yield f"{value.name} has no batch axis"
    elif [axis.dim_value for axis in axes[1:]] != wanted:
        yield f"{value.name} has another shape than [batch, {', '.join(map(str, wanted))}]"
    if kind.elem_type not in kinds:
        yield f"{value.name} has another type than its counterpart"


def _renamed(node: NodeProto, names: dict[str, str]) -> NodeProto:
    """A copy of a node that reads and writes other names, in its subgraphs too."""
    made = NodeProto()
    made.CopyFrom(node)
    made.name = ""
    for values in (made.input, made.output):
        values[:] = [names.get(name, name) for name in values]
    for attribute in made.attribute:
        if attribute.type == AttributeProto.GRAPH:  # a look at `g` of any other kind would set it
            _rename_graph(attribute.g, names)
    return made


def _rename_graph(graph: GraphProto, names: dict[str, str]) -> None:
    nodes = [_renamed(node, names) for node in graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    for value in graph.output:
        value.name = names.get(value.name, value.name)

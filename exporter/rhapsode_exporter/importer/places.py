"""Whether every tensor of a foreign graph has one place in a bundle, and every place a tensor."""

from collections import Counter
from collections.abc import Iterator, Sequence

from rhapsode_exporter.importer.contract import STEP, Wanted
from rhapsode_exporter.importer.description import GraphDescription
from rhapsode_exporter.importer.foreign import ForeignGraph, ForeignTensor
from rhapsode_exporter.importer.nodes import reads_of
from rhapsode_exporter.importer.problems import Problem

_MERGED = "torch.export merges inputs whose example tensors are one object: export it again with a tensor for each"


def place_problems(
    description: GraphDescription, graph: ForeignGraph, inputs: Sequence[Wanted], outputs: Sequence[Wanted]
) -> Iterator[Problem]:
    """Places without a tensor, tensors without a place, and tensors that are named for two.

    `inputs` and `outputs` are those of the graph's role, states aside.
    """
    fed = [*(description.foreign(each.name) for each in inputs), *(state.input for state in description.states)]
    given = [*(description.foreign(each.name) for each in outputs), *(state.output for state in description.states)]
    rule = "G7" if description.role == STEP else "G5"
    yield from _unfilled(description, inputs, graph.inputs, "input")
    yield from _stray_inputs(description, graph, inputs, fed)
    yield from _unfilled(description, outputs, graph.outputs, "output")
    yield from _stray_outputs(description, graph, given)
    for name, count in Counter([*fed, *given]).items():
        if name and count > 1:
            text = f"{name!r} stands in two places; each tensor has one"
            yield Problem(description.where, text, rule)
    yield from _drop_problems(description, graph, {*fed, *given})
    for name in (tensor.name for tensor in graph.inputs if tensor.name in fed and tensor.name not in _read(graph)):
        text = f"nothing in the graph reads it. {_MERGED}"
        yield Problem(f"{description.file}: input {name!r}", text, rule)


def _unfilled(
    description: GraphDescription, wanted: Sequence[Wanted], there: Sequence[ForeignTensor], side: str
) -> Iterator[Problem]:
    names = [tensor.name for tensor in there]
    for name in (each.name for each in wanted):
        if description.foreign(name) not in names:
            text = (
                f"{description.file} has no {side} {description.foreign(name)!r}; its {side}s are: {', '.join(names)}"
            )
            yield Problem(f"{description.where}.tensors.{name}", text, "G5")


def _stray_inputs(
    description: GraphDescription, graph: ForeignGraph, inputs: Sequence[Wanted], taken: Sequence[str]
) -> Iterator[Problem]:
    places = " or ".join([*(wanted.name for wanted in inputs), *(["a state"] if description.role == STEP else [])])
    read = _read(graph)
    for tensor in graph.inputs:
        if tensor.name not in taken and tensor.name not in description.drop:
            drop = f"nothing reads it, so it can be left out ({description.where}.drop: [{tensor.name}])"
            mend = "say which, or build its value into the graph" if tensor.name in read else drop
            text = f"{tensor} is not said to be {places}; {mend}"
            yield Problem(f"{description.file}: input {tensor.name!r}", text, "G5")


def _stray_outputs(description: GraphDescription, graph: ForeignGraph, taken: Sequence[str]) -> Iterator[Problem]:
    mend = "pair it as a state, or leave it out" if description.role == STEP else "leave it out"
    for tensor in graph.outputs:
        if tensor.name not in taken and tensor.name not in description.drop:
            text = f"has no place in a bundle; {mend} ({description.where}.drop: [{tensor.name}])"
            yield Problem(f"{description.file}: output {tensor.name!r}", text, "G5")


def _drop_problems(description: GraphDescription, graph: ForeignGraph, taken: set[str]) -> Iterator[Problem]:
    """What cannot be left out: what is not there, what the bundle needs, and inputs that the graph reads."""
    where = f"{description.where}.drop"
    known = {tensor.name for tensor in (*graph.inputs, *graph.outputs)}
    inputs = {tensor.name for tensor in graph.inputs}
    for name in sorted(description.drop):
        if name not in known:
            yield Problem(where, f"{description.file} has no input or output {name!r}", "G5")
        elif name in taken:
            yield Problem(where, f"{name!r} has a place in the bundle; take it out of this list", "G5")
        elif name in inputs & _read(graph):
            yield Problem(where, f"the graph reads the input {name!r}; build its value into the graph", "G5")


def _read(graph: ForeignGraph) -> set[str]:
    """The names of all values that any node reads."""
    return {name for node in graph.model.graph.node for name in reads_of(node)}

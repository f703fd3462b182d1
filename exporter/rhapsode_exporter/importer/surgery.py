"""Changing an ONNX graph in place: new names, operators around it, and what nothing needs cut away."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from onnx import GraphProto, ModelProto, NodeProto, ValueInfoProto, helper, numpy_helper

from rhapsode_exporter.bundle.export import BATCH
from rhapsode_exporter.importer.adapt import Step
from rhapsode_exporter.importer.nodes import graphs_of, reads_of


@dataclass(frozen=True, slots=True)
class Port:
    """An input or output of the bundle's graph and the foreign tensor behind it, with the steps between the two.

    `dtype` and `row` are those of the bundle's tensor, [batch, *row].
    """

    name: str
    foreign: str
    dtype: int
    row: tuple[int, ...]
    steps: tuple[Step, ...] = ()


def drop(model: ModelProto, names: Collection[str]) -> None:
    """Take inputs and outputs away from the graph; no node may read those inputs."""
    graph = model.graph
    _replace(graph.input, [value for value in graph.input if value.name not in names])
    _replace(graph.output, [value for value in graph.output if value.name not in names])


def wrap(model: ModelProto, inputs: Sequence[Port], outputs: Sequence[Port]) -> None:
    """Give the graph exactly these inputs and outputs, their steps in between, and cut away what no output needs."""
    graph = model.graph
    inner = _rename(graph, (*inputs, *outputs))
    before = [node for port in inputs for node in _chain(graph, port, port.name, inner[port.name])]
    after = [node for port in outputs for node in _chain(graph, port, inner[port.name], port.name)]
    _replace(graph.node, [*before, *graph.node, *after])
    _replace(graph.input, map(_declare, inputs))
    _replace(graph.output, map(_declare, outputs))
    _prune(graph)


def _rename(graph: GraphProto, ports: Sequence[Port]) -> Mapping[str, str]:
    """Call each foreign tensor as its port is called, or by a new name where steps stand between; that name by port.

    Whatever else has a port's name is called otherwise.
    """
    taken = set(_names(graph)) | {port.name for port in ports}
    inner = {port.name: _fresh(taken, port.foreign) if port.steps else port.name for port in ports}
    names = {port.foreign: inner[port.name] for port in ports}
    for port in ports:
        if port.name not in names:
            names[port.name] = _fresh(taken, port.name)
    for part in graphs_of(graph):
        _rename_part(part, names)
    return inner


def _rename_part(graph: GraphProto, names: Mapping[str, str]) -> None:
    for value in (*graph.input, *graph.output):
        value.name = names.get(value.name, value.name)
    for tensor in (*graph.initializer, *(sparse.values for sparse in graph.sparse_initializer)):
        tensor.name = names.get(tensor.name, tensor.name)
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
    for annotation in graph.quantization_annotation:
        annotation.tensor_name = names.get(annotation.tensor_name, annotation.tensor_name)


def _names(graph: GraphProto) -> Iterator[str]:
    """The names of all values, those of inner graphs too: ONNX lets no two share one."""
    for part in graphs_of(graph):
        yield from (value.name for value in (*part.input, *part.output))
        yield from (tensor.name for tensor in part.initializer)
        yield from (sparse.values.name for sparse in part.sparse_initializer)
        for node in part.node:
            yield from (*node.input, *node.output)


def _fresh(taken: set[str], name: str) -> str:
    """A name that is not taken yet, and is now."""
    numbers = iter(range(len(taken) + 1))
    found = next(new for number in numbers if (new := f"{name}.foreign{number or ''}") not in taken)
    taken.add(found)
    return found


def _chain(graph: GraphProto, port: Port, source: str, target: str) -> Iterator[NodeProto]:
    """The nodes of a port's steps from one name to another."""
    for number, step in enumerate(port.steps, 1):
        result = target if number == len(port.steps) else f"{port.name}.step{number}"
        yield _node(graph, step, source, result, f"{port.name}.{number}")
        source = result


def _node(graph: GraphProto, step: Step, source: str, target: str, label: str) -> NodeProto:
    if step.operator == "Reshape":
        shape = numpy_helper.from_array(np.array(step.values, np.int64), f"{label}.shape")
        graph.initializer.append(shape)
        return helper.make_node("Reshape", [source, shape.name], [target], name=label)
    if step.operator == "Cast":
        return helper.make_node("Cast", [source], [target], name=label, to=step.values[0])
    return helper.make_node("Transpose", [source], [target], name=label, perm=step.values)


def _declare(port: Port) -> ValueInfoProto:
    return helper.make_tensor_value_info(port.name, port.dtype, [BATCH, *port.row])


def _prune(graph: GraphProto) -> None:
    """Cut away nodes and weights that no output needs: ONNX Runtime would run them all the same."""
    needed = {value.name for value in graph.output}
    kept: list[NodeProto] = []
    for node in reversed(graph.node):
        if needed.intersection(node.output):
            kept.append(node)
            needed.update(reads_of(node))
    _replace(graph.node, reversed(kept))
    _replace(graph.initializer, [tensor for tensor in graph.initializer if tensor.name in needed])
    _replace(graph.sparse_initializer, [s for s in graph.sparse_initializer if s.values.name in needed])


def _replace(field: object, values: Iterable[object]) -> None:
    kept = list(values)
    del field[:]  # type: ignore[attr-defined]
    field.extend(kept)  # type: ignore[attr-defined]

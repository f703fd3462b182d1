"""What becomes of every tensor of a foreign graph, or what keeps it from having a place in a bundle."""

from collections.abc import Iterator
from dataclasses import dataclass

from rhapsode.v1.bundle_pb2 import Bundle, StatePair
from rhapsode_exporter.importer.adapt import input_steps
from rhapsode_exporter.importer.batch_axis import batch_axes
from rhapsode_exporter.importer.contract import Wanted, wanted_inputs, wanted_outputs
from rhapsode_exporter.importer.description import GraphDescription, StateDescription
from rhapsode_exporter.importer.foreign import ForeignGraph, ForeignTensor
from rhapsode_exporter.importer.places import place_problems
from rhapsode_exporter.importer.problems import Problem
from rhapsode_exporter.importer.states import PlannedState, plan_states
from rhapsode_exporter.importer.surgery import Port


@dataclass(frozen=True, slots=True)
class PlannedOutput:
    """An output that the bundle's graph has to have, and the foreign one that gives it.

    Its foreign shape is only known for sure when the graph has run. `state` is set for a next state, which must have
    the shape of the state that it replaces, with nothing more than the batch axis moved.
    """

    wanted: Wanted
    foreign: str
    state: StateDescription | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """The place of every tensor of one foreign graph."""

    description: GraphDescription
    graph: ForeignGraph
    inputs: tuple[Port, ...]
    outputs: tuple[PlannedOutput, ...]
    states: tuple[StatePair, ...]


def plan(description: GraphDescription, graph: ForeignGraph, manifest: Bundle, problems: list[Problem]) -> Plan:
    """The place of every tensor of a graph; incomplete where `problems` says so."""
    inputs, outputs = wanted_inputs(description.role, manifest), wanted_outputs(description.role, manifest)
    problems.extend(place_problems(description, graph, inputs, outputs))
    used = [tensor for tensor in graph.inputs if tensor.name not in description.drop]
    axes = batch_axes(used, description.batch, description.where, description.file, problems)
    given = {tensor.name: tensor for tensor in used}
    ports: list[Port] = []
    for wanted in inputs:
        tensor = given.get(description.foreign(wanted.name))
        if tensor is not None and tensor.name in axes and wanted.known:
            ports.extend(_port(description, wanted, tensor, axes[tensor.name], problems))
    states = plan_states(description, graph, axes, problems)
    return Plan(
        description,
        graph,
        (*ports, *(state.port for state in states)),
        (*(PlannedOutput(wanted, description.foreign(wanted.name)) for wanted in outputs), *map(_next, states)),
        tuple(state.pair for state in states),
    )


def _next(state: PlannedState) -> PlannedOutput:
    wanted = Wanted(state.pair.output, state.port.dtype, state.port.row)
    return PlannedOutput(wanted, state.description.output, state.description)


def _port(
    description: GraphDescription, wanted: Wanted, tensor: ForeignTensor, batch: int, problems: list[Problem]
) -> Iterator[Port]:
    steps = input_steps(wanted, tensor.dtype, tensor.shape, batch)
    if steps is None:
        text = f"is {tensor}, which cannot take the {wanted.name} of the bundle, {wanted}"
        problems.append(Problem(f"{description.file}: input {tensor.name!r}", text, "G5"))
    else:
        yield Port(wanted.name, tensor.name, wanted.dtype, wanted.row, steps)

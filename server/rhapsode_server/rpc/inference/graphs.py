"""What a graph takes and gives for each row, as bundle.json declares it."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

from rhapsode.v1 import bundle_pb2
from rhapsode_server.rpc.inference.datatypes import DATATYPES, Datatype
from rhapsode_server.rpc.inference.intervals import Interval, intervals


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """An input or output."""

    name: str
    type: Datatype
    shape: tuple[int, ...]
    """Its axes without the batch's."""
    numbers: int
    """Elements of one row."""
    row_bytes: int
    allowed: Interval | None = None
    """Where its numbers must lie, if it is known."""
    endless: bool = False
    """Whether its numbers may be infinite, as those of a state may be that a step has given."""


@dataclass(frozen=True, slots=True)
class GraphSpec:
    """The inputs and outputs of a graph, by name, in the order of bundle.json."""

    inputs: Mapping[str, TensorSpec]
    outputs: Mapping[str, TensorSpec]


def graph_spec(bundle: bundle_pb2.Bundle, role: int) -> GraphSpec:
    """That of the graph with this role."""
    graph = next(each for each in bundle.graphs if each.role == role)
    allowed, endless = intervals(bundle, role), role == bundle_pb2.GRAPH_ROLE_STEP
    return GraphSpec(
        {spec.name: _tensor(spec, allowed.get(spec.name), endless=endless) for spec in graph.inputs},
        {spec.name: _tensor(spec, None, endless=endless) for spec in graph.outputs},
    )


def _tensor(spec: bundle_pb2.TensorSpec, allowed: Interval | None, *, endless: bool) -> TensorSpec:
    kind, shape = DATATYPES[spec.dtype], tuple(axis.size for axis in spec.shape[1:])
    return TensorSpec(spec.name, kind, shape, prod(shape), prod(shape) * kind.dtype.itemsize, allowed, endless)

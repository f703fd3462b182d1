"""What a graph takes and gives for each row, as bundle.json declares it."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

from rhapsode.v1 import bundle_pb2
from rhapsode_server.rpc.inference.datatypes import DATATYPES, Datatype


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
    allowed: range | None = None
    """Where its integers must lie, if it is known: a graph that is asked to look elsewhere fails for all of its run."""


@dataclass(frozen=True, slots=True)
class GraphSpec:
    """The inputs and outputs of a graph, by name, in the order of bundle.json."""

    inputs: Mapping[str, TensorSpec]
    outputs: Mapping[str, TensorSpec]


def graph_spec(bundle: bundle_pb2.Bundle, role: int) -> GraphSpec:
    """That of the graph with this role."""
    graph = next(each for each in bundle.graphs if each.role == role)
    return GraphSpec(
        {spec.name: _tensor(spec, _allowed(bundle, role, spec.name)) for spec in graph.inputs},
        {spec.name: _tensor(spec, None) for spec in graph.outputs},
    )


def _tensor(spec: bundle_pb2.TensorSpec, allowed: range | None) -> TensorSpec:
    kind, shape = DATATYPES[spec.dtype], tuple(axis.size for axis in spec.shape[1:])
    return TensorSpec(spec.name, kind, shape, prod(shape), prod(shape) * kind.dtype.itemsize, allowed)


def _allowed(bundle: bundle_pb2.Bundle, role: int, name: str) -> range | None:
    tokens, classes = len(bundle.sequence.vocabulary.tokens), len(bundle.classes)
    known: Mapping[tuple[int, str], range] = {
        (bundle_pb2.GRAPH_ROLE_STEP, "token"): range(tokens),
        (bundle_pb2.GRAPH_ROLE_CRITIC, "tokens"): range(tokens),
        (bundle_pb2.GRAPH_ROLE_CRITIC, "length"): range(1, bundle.sequence.longest_prompt + 1),
        (bundle_pb2.GRAPH_ROLE_DECODE, "class_id"): range(classes),
        (bundle_pb2.GRAPH_ROLE_GIBBS, "class_id"): range(classes),
        (bundle_pb2.GRAPH_ROLE_DENOISE, "class_id"): range(classes + 1),  # the one after the last stands for none
    }
    return known.get((role, name))

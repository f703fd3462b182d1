"""The recorded inputs and outputs of every graph."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors import numpy as safetensors

from rhapsode.v1.bundle_pb2 import Bundle, Graph
from rhapsode_server.repository.problems import Problem, refusal, refuse
from rhapsode_server.repository.ranges import ranges
from rhapsode_server.repository.schema import GOLDENS, ROLE_NAMES
from rhapsode_server.repository.tensors import Tensor, declared

ROWS = 33
Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True, eq=False)
class Golden:
    """33 rows of one graph: arrays [33, …] by tensor name."""

    inputs: Arrays
    outputs: Arrays


def read(content: bytes, bundle: Bundle) -> Mapping[int, Golden]:
    """The goldens of every graph by role; BundleError where they are not those that the declaration asks for."""
    where = f"{bundle.name}/{bundle.version}"
    try:
        arrays = safetensors.load(content)
    except (SafetensorError, KeyError, ValueError, TypeError) as error:  # KeyError: a type that numpy has not
        raise refusal(where, Problem("V1", GOLDENS, "is not a safetensors file of numpy types")) from error
    refuse(where, _problems(arrays, bundle))
    return {graph.role: _golden(arrays, graph) for graph in bundle.graphs}


def _golden(arrays: Arrays, graph: Graph) -> Golden:
    prefix = ROLE_NAMES[graph.role]
    return Golden(
        {spec.name: arrays[f"{prefix}.inputs.{spec.name}"] for spec in graph.inputs},
        {spec.name: arrays[f"{prefix}.outputs.{spec.name}"] for spec in graph.outputs},
    )


def _problems(arrays: Arrays, bundle: Bundle) -> Iterator[Problem]:
    wanted = _wanted(bundle)
    for key in sorted(wanted.keys() ^ arrays.keys()):
        state = "is missing" if key in wanted else "belongs to no tensor of this bundle"
        yield Problem("V1", f"{GOLDENS}: {key!r}", state)
    for key in sorted(wanted.keys() & arrays.keys()):
        tensor, values = wanted[key], arrays[key]
        if values.dtype != tensor.dtype or values.shape != (ROWS, *tensor.shape[1:]):
            found = f"{values.dtype} {list(values.shape)}"
            yield Problem("V1", f"{GOLDENS}: {key!r}", f"is {found}; it is {tensor} with batch {ROWS}")
        elif not np.isfinite(values).all():
            yield Problem("V1", f"{GOLDENS}: {key!r}", "has values that are not finite")
    yield from _range_problems(arrays, bundle)


def _range_problems(arrays: Arrays, bundle: Bundle) -> Iterator[Problem]:
    allowed = {
        f"{ROLE_NAMES[graph.role]}.inputs.{name}": each
        for graph in bundle.graphs
        for name, each in ranges(bundle, graph.role).items()
    }
    for key, each in allowed.items():
        if key in arrays and not ((arrays[key] >= each.least) & (arrays[key] < each.end)).all():
            yield Problem("V1", f"{GOLDENS}: {key!r}", f"has numbers outside [{each.least}, {each.end})")


def _wanted(bundle: Bundle) -> Mapping[str, Tensor]:
    return {
        f"{ROLE_NAMES[graph.role]}.{side}.{spec.name}": declared(spec)
        for graph in bundle.graphs
        for side, specs in (("inputs", graph.inputs), ("outputs", graph.outputs))
        for spec in specs
    }

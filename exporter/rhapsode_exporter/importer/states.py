"""The states of a foreign step graph, paired by the names that bundle.yaml gives."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod

import numpy as np
from onnx import helper

from rhapsode.v1.bundle_pb2 import StatePair
from rhapsode_exporter.bundle.export import DATA_TYPES
from rhapsode_exporter.importer import limits
from rhapsode_exporter.importer.adapt import input_steps
from rhapsode_exporter.importer.contract import STEP, TENSORS, Wanted, dtype_name
from rhapsode_exporter.importer.description import GraphDescription, StateDescription
from rhapsode_exporter.importer.foreign import ForeignGraph, ForeignTensor
from rhapsode_exporter.importer.problems import Problem
from rhapsode_exporter.importer.surgery import Port

RULE = "G7"


@dataclass(frozen=True, slots=True)
class PlannedState:
    """A state with its names in the bundle and the port of its input."""

    description: StateDescription
    pair: StatePair
    port: Port


def plan_states(
    description: GraphDescription, graph: ForeignGraph, axes: Mapping[str, int], problems: list[Problem]
) -> tuple[PlannedState, ...]:
    """Every state that is sound; `axes` has the batch axis of each input. What is wrong goes into `problems`."""
    inputs = {tensor.name: tensor for tensor in graph.inputs}
    outputs = {tensor.name: tensor for tensor in graph.outputs}
    planned = []
    for state in description.states:
        problems.extend(_missing(description.file, state, inputs, outputs))
        tensor = inputs.get(state.input)
        if tensor is None or tensor.name not in axes:
            continue
        found = [*_problems(description.file, state, tensor, axes[tensor.name], outputs.get(state.output))]
        problems.extend(found)
        if not found:
            planned.append(_planned(state, tensor, axes[tensor.name]))
    numbers = sum(prod(state.port.row) for state in planned)
    if numbers > limits.STATE_NUMBERS:
        text = f"hold {numbers} numbers a row, the most is {limits.STATE_NUMBERS}"
        problems.append(Problem(f"{description.where}.states", text, RULE))
    return tuple(planned)


def mismatch(file: str, state: StateDescription, given: str, wanted: str) -> Problem:
    """The refusal of a pair whose output cannot be the next value of its input."""
    text = f"pairs the input {state.input!r}, {given}, with the output {state.output!r}, {wanted}"
    return Problem(
        state.where, f"{text} in {file}: a state keeps its type and shape; pair the two that belong together", RULE
    )


def _planned(state: StateDescription, tensor: ForeignTensor, batch: int) -> PlannedState:
    row = tuple(axis for axis in tensor.shape if isinstance(axis, int))
    wanted = Wanted(_free(state.input), tensor.dtype, row)
    pair = StatePair(input=wanted.name, output=_free(state.output), initial_value=state.initial_value)
    steps = input_steps(wanted, tensor.dtype, tensor.shape, batch)
    return PlannedState(state, pair, Port(wanted.name, tensor.name, tensor.dtype, row, steps or ()))


def _free(name: str) -> str:
    """The name of a state's tensor in the bundle: its own, unless the contract has that name for another."""
    return f"{name}_state" if name in TENSORS[STEP] else name


def _missing(
    file: str, state: StateDescription, inputs: Mapping[str, ForeignTensor], outputs: Mapping[str, ForeignTensor]
) -> Iterator[Problem]:
    for side, name, there in (("input", state.input, inputs), ("output", state.output, outputs)):
        if name and name not in there:
            text = f"is {name!r}; {file} has no such {side}, its {side}s are: {', '.join(there)}"
            yield Problem(f"{state.where}.{side}", text, RULE)


def _problems(
    file: str, state: StateDescription, tensor: ForeignTensor, batch: int, output: ForeignTensor | None
) -> Iterator[Problem]:
    others = [axis for place, axis in enumerate(tensor.shape) if place != batch]
    if not all(isinstance(axis, int) for axis in others):
        text = f"{tensor} varies beside its batch; a state has fixed sizes"
        yield Problem(f"{file}: input {tensor.name!r}", text, RULE)
    if tensor.dtype not in DATA_TYPES:
        known = ", ".join(map(dtype_name, DATA_TYPES))
        yield Problem(
            f"{file}: input {tensor.name!r}", f"{tensor} cannot be a state; its type is one of: {known}", RULE
        )
    elif not _holds(tensor.dtype, state.initial_value):
        text = f"is {state.initial_value:g}, which {dtype_name(tensor.dtype)} cannot hold"
        yield Problem(f"{state.where}.initial_value", text, RULE)
    if output is not None and not _alike(others, tensor.dtype, output):
        yield mismatch(file, state, str(tensor), str(output))


def _alike(row: list[int | str | None], dtype: int, output: ForeignTensor) -> bool:
    """Whether an output may be the next state as far as it is declared: its batch axis may stand elsewhere."""
    varying = [axis for axis in output.shape if not isinstance(axis, int)]
    sizes = [axis for axis in output.shape if isinstance(axis, int)]
    return output.dtype == dtype and (len(varying) != 1 or sizes == row)


def _holds(dtype: int, value: float) -> bool:
    """Whether a type can hold a number: finite in a float, exactly in anything else."""
    kind = np.dtype(helper.tensor_dtype_to_np_dtype(dtype))
    if kind.kind == "f":
        return abs(value) <= float(np.finfo(kind).max)
    low, high = (0, 1) if kind.kind == "b" else (np.iinfo(kind).min, np.iinfo(kind).max)
    return value.is_integer() and low <= value <= high

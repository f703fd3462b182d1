"""Whether a graph does the same each time, in every batch and at every place of it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from rhapsode_exporter.bundle.company import PERMUTATION
from rhapsode_exporter.bundle.draft import GOLDEN_ROWS
from rhapsode_exporter.bundle.onnx_runtime import OnnxRuntime, Tensors
from rhapsode_exporter.bundle.parity import BATCHES
from rhapsode_exporter.importer.problems import Problem

_WHOLE = tuple(range(GOLDEN_ROWS))
_COMPANIES: Mapping[str, tuple[int, ...]] = {
    **{f"run in a batch of {rows}": _WHOLE[:rows] for rows in BATCHES},
    "run in another order": PERMUTATION,
}


@dataclass(frozen=True, slots=True)
class Examination:
    """What the golden inputs gave: outputs of 33 rows, whether company changed a bit, and what is wrong."""

    outputs: Tensors
    batch_invariant: bool
    problems: tuple[Problem, ...]


def examine(file: str, where: str, content: bytes, inputs: Tensors, tolerance: float) -> Examination:
    """Run the goldens whole, again, in a second session, as batches of 1, 3, 8 and 33 rows, and permuted.

    `where` is the graph's key in bundle.yaml, which can raise the tolerance.
    """
    graph = OnnxRuntime(content)
    whole = graph.run(inputs)
    if problems := tuple(_not_finite(file, whole)):
        return Examination(whole, False, problems)
    again = [session.run(inputs) for session in (graph, OnnxRuntime(content))]
    problems = tuple(problem for other in again for problem in _not_repeated(file, whole, other))
    invariant = True
    for company, rows in () if problems else _COMPANIES.items():
        wanted = {name: values[list(rows)] for name, values in whole.items()}
        found = graph.run({name: values[list(rows)] for name, values in inputs.items()})
        invariant = invariant and all(same_bits(wanted[name], found[name]) for name in wanted)
        mend = f"A row may depend on itself alone; where this is rounding, raise {where}.tolerance"
        problems = problems or tuple(
            differences(file, f"changes when {company}", wanted, found, tolerance, ("V3", mend))
        )
    return Examination(whole, invariant, problems)


def differences(
    file: str, how: str, wanted: Tensors, found: Tensors, tolerance: float, rule: tuple[str, str]
) -> Iterator[Problem]:
    """A problem for every output that differs by more than the tolerance; `rule` is the line and how to mend it."""
    for name, values in wanted.items():
        worst = _distance(values, found[name])
        if not worst <= tolerance:
            text = f"{how}, by up to {worst:.3g}; the tolerance is {tolerance:g}. {rule[1]}"
            yield Problem(f"{file}: output {name!r}", text, rule[0])


def same_bits(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two arrays have the same shape, type and bytes."""
    return one.shape == other.shape and one.dtype == other.dtype and one.tobytes() == other.tobytes()


def _not_finite(file: str, outputs: Tensors) -> Iterator[Problem]:
    for name, values in outputs.items():
        if not np.isfinite(values).all():
            rows = np.flatnonzero(~np.isfinite(values.reshape(len(values), -1)).all(axis=1))
            text = f"has numbers that are not finite in {len(rows)} of {len(values)} golden rows"
            yield Problem(f"{file}: output {name!r}", f"{text}; a golden has none", "V1")


def _not_repeated(file: str, whole: Tensors, again: Tensors) -> Iterator[Problem]:
    for name, values in whole.items():
        if not same_bits(values, again[name]):
            yield Problem(f"{file}: output {name!r}", "differs when it is run again with the same inputs", "G4")


def _distance(one: np.ndarray, other: np.ndarray) -> float:
    if one.shape != other.shape:
        return float("inf")
    return float(np.abs(one.astype(np.float64) - other.astype(np.float64)).max(initial=0.0))

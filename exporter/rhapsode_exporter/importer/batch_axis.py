"""Which axis of each foreign input is the batch."""

from collections.abc import Mapping, Sequence

from rhapsode_exporter.importer.foreign import ForeignTensor
from rhapsode_exporter.importer.problems import Problem

RULE = "G6"
_EXPORT = "export the graph again so that it does (torch: dynamic_shapes)"


def batch_axes(
    inputs: Sequence[ForeignTensor], said: str, where: str, file: str, problems: list[Problem]
) -> Mapping[str, int]:
    """The place of the batch axis in each input by its name; inputs whose axis is not clear are left out.

    It is the axis called `said`; without that the one name that all inputs share, "batch" before others; in an input
    that has no such name, its only axis that varies. `where` is the graph's key in bundle.yaml.
    """
    names = [{axis for axis in tensor.shape if isinstance(axis, str)} for tensor in inputs]
    if said and not any(said in found for found in names):
        there = ", ".join(sorted(set().union(*names))) or "none"
        problems.append(
            Problem(f"{where}.batch", f"no axis of {file} is called {said!r}; its names are: {there}", RULE)
        )
        return {}
    name = said or _shared(names)
    found = {tensor.name: _places(tensor, name) for tensor in inputs}
    unclear = [tensor for tensor in inputs if len(found[tensor.name]) != 1]
    problems.extend(Problem(f"{file}: input {each.name!r}", _unclear(each, name, where), RULE) for each in unclear)
    return {name: places[0] for name, places in found.items() if len(places) == 1}


def _shared(names: Sequence[set[str]]) -> str:
    """The name of the batch among those that all inputs have; empty where several could be it."""
    common = set.intersection(*names) if names else set()
    likely = common & {"batch"} or {name for name in common if name.lower().startswith("batch")} or common
    return likely.pop() if len(likely) == 1 else ""


def _places(tensor: ForeignTensor, name: str) -> list[int]:
    called = [place for place, axis in enumerate(tensor.shape) if name and axis == name]
    return called or [place for place, axis in enumerate(tensor.shape) if not isinstance(axis, int)]


def _unclear(tensor: ForeignTensor, name: str, where: str) -> str:
    varying = [axis for axis in tensor.shape if not isinstance(axis, int)]
    if not varying:
        return f"is {tensor}: its batch does not vary; {_EXPORT}"
    if name in varying:
        return f"is {tensor}: two of its axes are the batch {name!r}; only one can be"
    if None in varying:
        return f"is {tensor}: several axes vary and have no name; {_EXPORT}, with names for them"
    return f"is {tensor}: several axes vary; say which is the batch ({where}.batch: {varying[0]})"

"""How each observed output of a foreign graph becomes one of the bundle's."""

from collections.abc import Mapping

from rhapsode_exporter.importer.adapt import Step, output_steps
from rhapsode_exporter.importer.observe import BATCHES, Observed
from rhapsode_exporter.importer.plan import Plan, PlannedOutput
from rhapsode_exporter.importer.problems import Problem
from rhapsode_exporter.importer.states import mismatch
from rhapsode_exporter.importer.surgery import Port


def output_ports(plan: Plan, observed: Mapping[str, Observed], problems: list[Problem]) -> tuple[Port, ...]:
    """A port for every planned output; none at all where `problems` says why one does not fit."""
    before = len(problems)
    ports = tuple(_port(plan, output, observed, problems) for output in plan.outputs)
    return ports if len(problems) == before else ()


def _port(plan: Plan, output: PlannedOutput, observed: Mapping[str, Observed], problems: list[Problem]) -> Port:
    found, wanted = observed[output.foreign], output.wanted
    steps: tuple[Step, ...] | None = ()
    if len(found.batch) != 1:
        problems.append(_unclear(plan.description.file, output.foreign, found))
    elif output.state is not None and (found.dtype, _row(found)) != (wanted.dtype, wanted.row):
        problems.append(mismatch(plan.description.file, output.state, str(wanted), str(found)))
    else:
        steps = output_steps(wanted, found.dtype, found.shape, found.batch[0])
    if steps is None:
        problems.append(_unfit(plan, output, found))
    return Port(wanted.name, output.foreign, wanted.dtype, wanted.row, steps or ())


def _row(found: Observed) -> tuple[int, ...]:
    return tuple(size for place, size in enumerate(found.shape) if place not in found.batch)


def _unclear(file: str, name: str, found: Observed) -> Problem:
    rows = BATCHES[0]
    if found.batch:
        text = "two of its axes follow the batch; only one may"
    else:
        text = "none of its axes follows the batch; export it with a batch that varies"
    return Problem(f"{file}: output {name!r}", f"came as {found} with {rows} rows: {text}", "G6")


def _unfit(plan: Plan, output: PlannedOutput, found: Observed) -> Problem:
    text = f"is {found}, which cannot be the {output.wanted.name} of the bundle, {output.wanted}"
    return Problem(f"{plan.description.file}: output {output.foreign!r}", text, "G5")

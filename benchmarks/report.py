"""Measurements as a table for people, and as JSON for programs."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median, quantiles

from benchmarks.cases import CASES, Case, Measurement, Way
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of some values between their quartiles."""

    low: float
    middle: float
    high: float


@dataclass(frozen=True, slots=True)
class Summary:
    """A case in one of the two ways, over all rounds: items a second, CPU microseconds an item, first message in ms."""

    case: str
    way: Way
    unit: str
    items_per_second: Spread
    cpu_us_per_item: Spread
    client_cpu_us_per_item: Spread
    first_message_ms: Spread


def spread(values: Sequence[float]) -> Spread:
    """Median and quartiles; of a single value, that value."""
    if len(values) == 1:
        return Spread(values[0], values[0], values[0])
    low, _, high = quantiles(values, n=4, method="inclusive")
    return Spread(low, median(values), high)


def summarise(measurements: Iterable[Measurement]) -> list[Summary]:
    """One summary for each case and way that was measured, in the order of CASES."""
    taken = list(measurements)
    ways: tuple[Way, ...] = ("served", "alone")
    groups = (
        (case, way, [one for one in taken if (one.case, one.way) == (case.name, way)]) for case in CASES for way in ways
    )
    return [_summary(case, way, group) for case, way, group in groups if group]


def table(summaries: Sequence[Summary], title: str) -> Table:
    """A line for each case: both speeds, both costs, and the costs' ratio."""
    made = Table(title=title, title_justify="left")
    made.add_column("case")
    for heading in (
        "served /s",
        "alone /s",
        "server CPU µs",
        "alone CPU µs",
        "ratio",
        "client CPU µs",
        "first message ms",
    ):
        made.add_column(heading, justify="right")
    pairs = {(one.case, one.way): one for one in summaries}
    for case in CASES:
        if (case.name, "served") in pairs and (case.name, "alone") in pairs:
            made.add_row(case.name, *_cells(pairs[case.name, "served"], pairs[case.name, "alone"]))
    return made


def write(
    path: Path, setting: dict[str, str], measurements: Sequence[Measurement], summaries: Sequence[Summary]
) -> None:
    """Write everything, single measurements too."""
    content = {
        "setting": setting,
        "summaries": [asdict(one) for one in summaries],
        "measurements": [asdict(one) for one in measurements],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _summary(case: Case, way: Way, group: Sequence[Measurement]) -> Summary:
    return Summary(
        case.name,
        way,
        case.unit,
        spread([one.items / one.wall_seconds for one in group]),
        spread([one.cpu_seconds / one.items * 1e6 for one in group]),
        spread([one.client_cpu_seconds / one.items * 1e6 for one in group]),
        spread([one.first_seconds * 1e3 for one in group]),
    )


def _cells(served: Summary, alone: Summary) -> tuple[str, ...]:
    return (
        _show(served.items_per_second),
        _show(alone.items_per_second),
        _show(served.cpu_us_per_item),
        _show(alone.cpu_us_per_item),
        f"{served.cpu_us_per_item.middle / alone.cpu_us_per_item.middle:.2f}",
        _show(served.client_cpu_us_per_item),
        _show(served.first_message_ms),
    )


def _show(value: Spread) -> str:
    return (
        f"{value.middle:,.0f} ({value.low:,.0f}–{value.high:,.0f})"
        if value.middle >= 10
        else f"{value.middle:.1f} ({value.low:.1f}–{value.high:.1f})"
    )

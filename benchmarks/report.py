"""Rounds as tables for people, and as JSON for programs."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.cases import Measurement, Way
from benchmarks.plan import ARRIVALS, Task
from benchmarks.rounds import Round
from benchmarks.spread import percentile, spread
from benchmarks.verdicts import Verdict, arrival_beyond_steps, cpu_ratio
from rich.table import Table

_MANY = 100  # requests from which a 99th percentile says something


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table: what stands over it, its columns, its lines."""

    title: str
    head: tuple[str, ...]
    lines: tuple[tuple[str, ...], ...]

    def table(self) -> Table:
        """For a terminal."""
        made = Table(title=self.title, title_justify="left")
        for number, heading in enumerate(self.head):
            made.add_column(heading, justify="right" if number > 1 else "left")
        for line in self.lines:
            made.add_row(*line)
        return made

    def markdown(self) -> str:
        """For a document."""
        ruler = tuple("---" for _ in self.head)
        lines = "\n".join(f"| {' | '.join(line)} |" for line in (self.head, ruler, *self.lines))
        return f"{self.title}\n\n{lines}\n"


def sheets(rounds: Sequence[Round], plan: Sequence[Task], verdicts: Sequence[Verdict], title: str) -> tuple[Sheet, ...]:
    """All tables of a run."""
    figures = (figure_sheet(rounds),) if rounds[0].figures else ()
    return load_sheet(rounds, plan, title), *figures, verdict_sheet(verdicts)


def load_sheet(rounds: Sequence[Round], plan: Sequence[Task], title: str) -> Sheet:
    """A line for each case and way."""
    head = ("case", "way", "items/s", "CPU µs/item", "× limit", "client CPU µs/item", "first ms", "first p99 ms")
    return Sheet(title, head, tuple(_load_line(rounds, task, way) for task in plan for way in task.ways))


def figure_sheet(rounds: Sequence[Round]) -> Sheet:
    """A line for each figure that is not of a load."""
    names = [figure.name for figure in rounds[0].figures]
    lines = [(name, str(spread([one.figure(name) for one in rounds]))) for name in names]
    for case in ARRIVALS:
        for share in (0.5, 0.99):
            beyond = arrival_beyond_steps(case, share)
            name = f"{case.name}: p{share * 100:.0f} ms to the first token beyond the prompt's steps"
            lines.append((name, str(spread([beyond(one) for one in rounds]))))
    return Sheet("Figures", ("figure", "median (quartiles)"), tuple(lines))


def verdict_sheet(verdicts: Sequence[Verdict]) -> Sheet:
    """A line for each target."""
    lines = tuple((one.name, "met" if one.met else "MISSED", str(one.found), f"{one.most:g}") for one in verdicts)
    return Sheet("Targets", ("target", "verdict", "found", "at most"), lines)


def write(path: Path, setting: Mapping[str, str], rounds: Sequence[Round], verdicts: Sequence[Verdict]) -> None:
    """Write everything, single measurements too."""
    content = {
        "setting": dict(setting),
        "verdicts": [{**asdict(one), "met": one.met} for one in verdicts],
        "rounds": [asdict(one) for one in rounds],
    }
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _load_line(rounds: Sequence[Round], task: Task, way: Way) -> tuple[str, ...]:
    taken = [one.of(task.case.name, way) for one in rounds]
    ratio = cpu_ratio(task.case, way, task.limit, task.limit_case)
    rate = spread([one.items / one.wall_seconds for one in taken])
    cost = spread([one.cpu_per_item * 1e6 for one in taken])
    return (
        task.case.name,
        way,
        str(rate),
        str(cost),
        str(spread([ratio(one) for one in rounds])),
        *_client_cells(taken),
    )


def _client_cells(taken: Sequence[Measurement]) -> Iterator[str]:
    """What only a client sees; nothing of a loop in process."""
    if not taken[0].firsts:
        yield from ("", "", "")
        return
    yield str(spread([one.client_cpu_seconds / one.items * 1e6 for one in taken]))
    yield str(spread([one.first_seconds * 1e3 for one in taken]))
    many = len(taken[0].firsts) >= _MANY
    yield str(spread([percentile(one.firsts, 0.99) * 1e3 for one in taken])) if many else ""

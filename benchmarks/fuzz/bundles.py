"""Fuzzing of bundle loading: python -m benchmarks.fuzz.bundles --count 20000 --seed 1."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.fuzz import bundle_hunt
from benchmarks.fuzz.bundle_hunt import Hunt
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

_APART = 10**9  # numbers of one seed
_HEAD = ("mutants", "refused", "served", "findings", "slowest", "most memory")


def main(arguments: Sequence[str] | None = None) -> int:
    """Hunt; 1 where anything was found."""
    options = _parser().parse_args(arguments)
    first = options.only if options.only is not None else options.seed * _APART
    numbers = range(first, first + (1 if options.only is not None else options.count))
    console = Console()
    found = _watched(console, options, numbers)
    console.print(table(found))
    for finding in found.findings:
        kept = bundle_hunt.keep(finding, options.models, options.out)
        console.print(f"{finding.number}: {finding.finding}\n  {kept}", markup=False)
    console.print(f"as Markdown:\n{row(found)}", markup=False, soft_wrap=True)
    return 1 if found.findings else 0


def table(found: Hunt) -> Table:
    """What came of the mutants."""
    shown = Table(*_HEAD)
    shown.add_row(*_cells(found))
    rules = ", ".join(f"{rule} {count}" for rule, count in found.refused.most_common())
    shown.caption = f"refused by rule: {rules}"
    return shown


def row(found: Hunt) -> str:
    """The same as a line of Markdown, without the rules."""
    return f"| {' | '.join(_cells(found))} |"


def _cells(found: Hunt) -> Sequence[str]:
    return (
        f"{found.tried:,}",
        f"{found.refused.total():,}",
        f"{found.served:,}",
        str(len(found.findings)),
        f"{found.slowest:.1f} s",
        f"{found.megabytes} MB",
    )


def _watched(console: Console, options: argparse.Namespace, numbers: range) -> Hunt:
    latest = Hunt()
    columns = (
        *Progress.get_default_columns()[:2],
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[found]}"),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("mutants", total=len(numbers), found="")

        def tell(found: Hunt) -> None:
            nonlocal latest
            if len(found.findings) > len(latest.findings):  # told at once: the hunt may be ended by force
                told = found.findings[-1]
                progress.console.print(f"{told.number}: {told.finding}", markup=False)
            latest = found
            progress.update(task, completed=found.tried, found=f"{found.served} served, {len(found.findings)} found")

        try:
            return bundle_hunt.hunt(options.models, numbers, options.jobs, options.patience, tell)
        except KeyboardInterrupt:
            return latest


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fuzz.bundles", description=__doc__)
    parser.add_argument("--models", type=Path, default=Path("models"), help="the bundles to break")
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1, help="mutants are numbered from seed · 10⁹ on")
    parser.add_argument("--only", type=int, help="the number of one mutant, to try it again")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--patience", type=float, default=bundle_hunt.PATIENCE, help="seconds for one mutant")
    parser.add_argument("--out", type=Path, default=Path("out/fuzz/bundles"), help="where reproducers go")
    return parser


if __name__ == "__main__":
    sys.exit(main())

"""Abuses servers in every way of the catalogue, and prints what they promise with the figures.

Ctrl-C ends it with what there is; --only runs some scenarios again and keeps the results of the others.
"""

import argparse
import asyncio
import inspect
import resource
import sys
import time
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.abuse import results
from benchmarks.abuse.catalogue import SCENARIOS
from benchmarks.abuse.promise import Figures, Promise, Scenario
from benchmarks.abuse.results import Result
from benchmarks.abuse.victim import SHIPPED
from benchmarks.cost import processor
from rich.console import Console

_NAMES = tuple(scenario.name for scenario in SCENARIOS)
_WIDTH_IN_A_FILE = 170


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says."""

    scale: float
    only: tuple[str, ...]
    out: Path
    write: Path | None


def main(argv: Sequence[str] | None = None) -> None:
    """Run scenarios; ends with 1 where a promise is not held."""
    options = _read(argv)
    options.out.mkdir(parents=True, exist_ok=True)
    _take_all_descriptors()
    console = Console(width=None if sys.stdout.isatty() else _WIDTH_IN_A_FILE)
    try:
        for scenario in SCENARIOS:
            if scenario.name in options.only:
                _say(console, _run(scenario, options, console))
    except KeyboardInterrupt:
        console.print("interrupted; --only goes on with those that are left")
    found = results.read(options.out, _NAMES)
    published = publish(found, options, console)
    sys.exit(not published or any(result.broken for result in found))


def _run(scenario: Scenario, options: Options, console: Console) -> Result:
    """Run one scenario; one that fails holds nothing."""
    began = time.monotonic()
    figures: Figures | None = None
    with console.status(f"{scenario.name}: {scenario.title}"):
        try:
            figures = _measured(scenario, options.scale)
            promises = tuple(figures.promises())
        except Exception as error:  # the others are run all the same
            console.print_exception()
            promises = (Promise("it comes to its end", type(error).__name__, "no error", held=False),)
    result = Result(scenario.name, scenario.title, options.scale, time.monotonic() - began, promises)
    results.write(options.out, result, figures)
    return result


def _measured(scenario: Scenario, scale: float) -> Figures:
    figures = scenario.run(scale)
    return asyncio.run(_awaited(figures)) if inspect.isawaitable(figures) else figures


async def _awaited(figures: Awaitable[Figures]) -> Figures:
    return await figures


def _say(console: Console, result: Result) -> None:
    verdict = f"[red]{len(result.broken)} NOT held[/red]" if result.broken else "[green]held[/green]"
    console.print(f"{result.name}: {verdict}, {result.seconds:.0f} s")


def publish(found: Sequence[Result], options: Options, console: Console) -> bool:
    """Print the table, and write it where it was wanted: whether that was done."""
    scales = sorted({result.scale for result in found})
    title = f"{processor()}; scale {', '.join(f'{scale:g}' for scale in scales)}"
    sheet = results.sheet(found, title)
    console.print(sheet.table())
    (options.out / "table.md").write_text(sheet.markdown(), encoding="utf-8")
    console.print(f"as Markdown: {options.out / 'table.md'}; all that was measured: {options.out}/*.json")
    if options.write is None:
        return True
    if partial := [result.name for result in found if result.scale != 1]:
        console.print(f"not written to {options.write}: not at full scale are {', '.join(partial)}")
        return False
    results.replace_table(options.write, sheet.markdown())
    return True


def _take_all_descriptors() -> None:
    """Allow this process, and those that it starts, as many open files as the system lets them have."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _read(argv: Sequence[str] | None) -> Options:
    parser = argparse.ArgumentParser("python -m benchmarks.abuse", description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="share of the full counts to do (default: 1)")
    parser.add_argument("--only", default=",".join(_NAMES), help="names of scenarios, with commas (default: all)")
    parser.add_argument("--out", type=Path, default=Path("out/abuse"), help="folder of results (default: out/abuse)")
    parser.add_argument("--write", type=Path, help="page to put the table into, between its two comments")
    given = parser.parse_args(argv)
    if not SHIPPED.is_dir():
        parser.error(f"there is no folder {SHIPPED} here: run it where the bundles that ship are")
    only = tuple(given.only.split(","))
    if unknown := set(only) - set(_NAMES):
        parser.error(f"--only: there is no {', '.join(sorted(unknown))}; there are {', '.join(_NAMES)}")
    return Options(given.scale, only, given.out, given.write)


if __name__ == "__main__":
    main()

"""Measures the server against the same graphs in one process, in interleaved rounds."""

import argparse
import importlib.metadata
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import uvloop
from benchmarks import cold, plots, report
from benchmarks.alone import Alone
from benchmarks.bundles import Folders
from benchmarks.cases import Figure
from benchmarks.contest import running_rivals
from benchmarks.cost import processor
from benchmarks.plan import PLAN, RIVALS_PLAN, Task
from benchmarks.rounds import Round, Rounds
from benchmarks.served import EVERYBODY
from benchmarks.servers import running_servers
from benchmarks.verdicts import judge
from rich.console import Console

from rhapsode_server.runtime.providers import Runtime, RuntimeOptions

_QUICK_ROUNDS = 3
_WIDTH_IN_A_FILE = 170


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says."""

    models: Path
    out: Path
    rounds: int
    threads: int
    quick: bool
    rivals: bool

    @property
    def plan(self) -> Sequence[Task]:
        """What a round takes."""
        return RIVALS_PLAN if self.rivals else PLAN

    @property
    def name(self) -> str:
        """What the files that are written begin with."""
        return "bench-rivals" if self.rivals else "bench"

    @property
    def folders(self) -> Folders:
        """Where the bundles lie."""
        return Folders(self.models, self.out / "bench-models")

    @property
    def flags(self) -> tuple[str, ...]:
        """What every server of ours is told."""
        return "--provider=cpu", f"--threads={self.threads}", *EVERYBODY

    @property
    def number(self) -> int:
        """Rounds that count."""
        return _QUICK_ROUNDS if self.quick else self.rounds


def main(argv: Sequence[str] | None = None) -> None:
    """Measure; print tables, also as Markdown; write JSON and plots."""
    options = _read(argv)
    console = Console(width=None if sys.stdout.isatty() else _WIDTH_IN_A_FILE)
    rounds = _run(options, console)
    verdicts = judge(rounds)
    title = f"{len(rounds)} rounds, {processor()}: median (quartiles)"
    sheets = report.sheets(rounds, options.plan, verdicts, title)
    for sheet in sheets:
        console.print(sheet.table())
    for sheet in sheets:
        print(sheet.markdown())
    report.write(options.out / f"{options.name}.json", _setting(options), rounds, verdicts)
    if not options.rivals:
        plots.draw(rounds, options.out)
    console.print(f"all measurements: {options.out / options.name}.json")


def _run(options: Options, console: Console) -> list[Round]:
    """Start all that is measured, take the rounds, and stop it all."""
    folders, out, plan = options.folders, options.out, options.plan
    _write_bundles(options)
    alone = Alone(folders, Runtime(RuntimeOptions(provider="cpu", threads=options.threads)))
    with (
        console.status("starting") as status,
        running_servers(plan, folders, out, options.flags) as servers,
        running_rivals(plan, folders.measured, out) as rivals,
    ):
        taker = Rounds(plan, servers, rivals, alone, status.update)
        rounds: list[Round] = []
        try:
            uvloop.run(_measure(options, taker, rounds))
        except KeyboardInterrupt:
            console.print(f"interrupted after {len(rounds)} rounds that count")
            if not rounds:
                raise
        return rounds


def _write_bundles(options: Options) -> None:
    """In a process of its own: the one that measures does without torch."""
    command = [sys.executable, "-m", "benchmarks.models", f"--models={options.models}", f"--out={options.out}"]
    subprocess.run(command, check=True)


async def _measure(options: Options, taker: Rounds, rounds: list[Round]) -> None:
    """Take all rounds; the one before the first warms everything up and is thrown away."""
    for number in range(options.number + 1):
        measurements = await taker.take(number)
        taken = Round(measurements, () if options.rivals else await _figures(options))
        if number:
            rounds.append(taken)


async def _figures(options: Options) -> tuple[Figure, ...]:
    """What servers cost that are started for it."""
    log = options.out / "bench-cold.log"
    started = cold.start_figures(options.models, log, options.flags)
    return started + await cold.stream_figures(options.folders.measured, log, options.flags)


def _setting(options: Options) -> Mapping[str, str]:
    packages = ("grpcio", "numpy", "onnxruntime-gpu", "onnxruntime", "rhapsode", "uvloop")
    versions = {name: found for name in packages if (found := _version(name))}
    machine = {"processor": processor(), "python": platform.python_version()}
    return {**machine, "threads": str(options.threads), "rounds": str(options.number), **versions}


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _read(argv: Sequence[str] | None) -> Options:
    parser = argparse.ArgumentParser(description="Measures the server against ONNX Runtime alone.")
    parser.add_argument("--models", type=Path, default=Path("models"), help="folder of bundles (default: models)")
    parser.add_argument("--out", type=Path, default=Path("out"), help="folder for bench.json (default: out)")
    parser.add_argument("--rounds", type=int, default=15, help="rounds that count (default: 15)")
    parser.add_argument("--quick", action="store_true", help=f"{_QUICK_ROUNDS} rounds")
    parser.add_argument("--rivals", action="store_true", help="measure PyTriton and MLServer too, on fewer cases")
    parser.add_argument("--threads", type=int, default=1, help="threads of a run, on both sides (default: 1)")
    return Options(**vars(parser.parse_args(argv)))


if __name__ == "__main__":
    main()

"""Measures the server against the same graphs in one process, in interleaved rounds."""

import argparse
import asyncio
import importlib.metadata
import platform
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import report, served
from benchmarks.alone import Alone
from benchmarks.cases import CASES, Measurement
from benchmarks.cost import processor
from deploy.local_server import LocalServer, running_server
from rich.console import Console

from rhapsode_server.runtime.providers import Runtime, RuntimeOptions

_MORE_SEED = 1_000
_WIDTH_IN_A_FILE = 150


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says."""

    models: Path
    out: Path
    rounds: int
    threads: int


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, print a table and write JSON beside the server's log."""
    options = _read(argv)
    console = Console(width=None if sys.stdout.isatty() else _WIDTH_IN_A_FILE)
    options.out.mkdir(parents=True, exist_ok=True)
    runtime = Runtime(RuntimeOptions(provider="cpu", threads=options.threads))
    alone = Alone(options.models, runtime, {case.model for case in CASES})
    flags = ("--provider=cpu", f"--threads={options.threads}")
    with running_server(options.models, options.out / "bench-server.log", *flags) as server:
        measurements = _measure(server, alone, options.rounds, console)
    summaries = report.summarise(measurements)
    console.print(report.table(summaries, f"{options.rounds} rounds, {processor()}"))
    report.write(options.out / "bench.json", _setting(options), measurements, summaries)
    console.print(f"all measurements: {options.out / 'bench.json'}")


def _measure(server: LocalServer, alone: Alone, rounds: int, console: Console) -> list[Measurement]:
    """Take all rounds; the one before the first warms both sides up and is thrown away."""
    kept: list[Measurement] = []
    with console.status("warming up") as status:
        for number in range(rounds + 1):
            for case in CASES:
                seed = (number + 1) * _MORE_SEED
                pair = [asyncio.run(served.measure(server, case, seed)), alone.measure(case, seed)]
                kept += pair if number else []
                status.update(f"round {number} of {rounds}: {case.name}")
    return kept


def _setting(options: Options) -> dict[str, str]:
    packages = ("grpcio", "numpy", "onnxruntime-gpu", "onnxruntime", "rhapsode")
    versions = {name: found for name in packages if (found := _version(name))}
    machine = {"processor": processor(), "python": platform.python_version()}
    return {**machine, "threads": str(options.threads), "rounds": str(options.rounds), **versions}


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _read(argv: Sequence[str] | None) -> Options:
    parser = argparse.ArgumentParser(description="Measures the server against ONNX Runtime alone.")
    parser.add_argument("--models", type=Path, default=Path("models"), help="folder of bundles (default: models)")
    parser.add_argument("--out", type=Path, default=Path("out"), help="folder for bench.json (default: out)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds that count (default: 5)")
    parser.add_argument("--threads", type=int, default=1, help="threads of a run, on both sides (default: 1)")
    return Options(**vars(parser.parse_args(argv)))


if __name__ == "__main__":
    main()

"""Loads a server for minutes with requests of all kinds, some of them spoilt, and tells what it held and kept.

Ctrl-C ends the load; the table tells what there is so far.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.abuse.results import replace_table
from benchmarks.cost import processor
from benchmarks.soak.findings import Findings, outcome_sheet, promise_sheet, time_sheet
from benchmarks.soak.picture import draw
from benchmarks.soak.soak import STALL, Scale, Target, soak
from deploy.local_server import ServerFailedError, running_server
from rich.console import Console

# A burst at random moments is no overload: a server that may let it wait refuses nothing that is sound.
FLAGS = ("--provider=cpu", "--threads=1", "--grace=20", "--queue-wait=10", f"--stall-timeout={STALL:g}")
SHOWN = 20  # offences; more of them say no more
_WIDTH_IN_A_FILE = 150


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says."""

    scale: Scale
    models: Path
    out: Path
    write: Path | None


@contextmanager
def _target(models: Path, out: Path) -> Iterator[Target]:
    names = tuple(sorted(path.name for path in models.iterdir() if path.is_dir()))
    with tempfile.TemporaryDirectory() as folder:
        admin = f"unix:{folder}/admin"
        with running_server(models, out / "server.log", *FLAGS, f"--admin-address={admin}") as server:
            yield Target(server.process_id, server.address, server.metrics_address, admin, names)


def _soaked(options: Options) -> Findings:
    findings = None
    try:
        with _target(options.models, options.out) as target:
            findings = soak(target, options.scale)
    except ServerFailedError:
        if findings is None:
            raise
        return replace(findings, exit_code=None)
    return findings


def main(argv: Sequence[str] | None = None) -> None:
    """Soak; ends with 1 where a promise is not held."""
    options = _read(argv)
    options.out.mkdir(parents=True, exist_ok=True)
    try:
        findings = _soaked(options)
    except KeyboardInterrupt:
        sys.exit("interrupted, with no load to tell of")
    except ServerFailedError as error:
        sys.exit(str(error))
    console = Console(width=None if sys.stdout.isatty() else _WIDTH_IN_A_FILE)
    minutes, rate = findings.seconds / 60, findings.rate
    title = f"{processor()}; {minutes:.1f} minutes, {rate:.0f} requests/s, seed {findings.seed}"
    ended = findings.told.ended
    sheets = (promise_sheet(findings, title), outcome_sheet(ended), time_sheet(ended))
    for sheet in sheets:
        console.print(sheet.table())
    for offence in findings.told.offences[:SHOWN]:
        console.print(offence, markup=False)
    written = "\n".join(sheet.markdown() for sheet in sheets)
    (options.out / "table.md").write_text(written, encoding="utf-8")
    if options.write is not None:
        replace_table(options.write, written, "soak")
    draw(findings, options.out / "vitals.png")
    console.print(f"as Markdown: {options.out / 'table.md'}; drawn: {options.out / 'vitals.png'}")
    sys.exit(any(not promise.held for promise in findings.promises()))


def _read(argv: Sequence[str] | None) -> Options:
    parser = argparse.ArgumentParser("python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="how long the load lasts (default: 10)")
    parser.add_argument("--seed", type=int, default=1, help="decides the requests, their moments and faults")
    parser.add_argument("--load", type=float, default=0.6, help="share of two cores to use (default: 0.6)")
    parser.add_argument(
        "--reload", type=float, default=0.0, help="seconds between two loads of models that are served (default: none)"
    )
    parser.add_argument("--models", type=Path, default=Path("models"))
    parser.add_argument("--out", type=Path, default=Path("out/soak"), help="folder of results (default: out/soak)")
    parser.add_argument("--write", type=Path, help="page to put the tables into, between its two comments")
    given = parser.parse_args(argv)
    if not given.models.is_dir():
        parser.error(f"--models: there is no folder {given.models}")
    scale = Scale(given.minutes * 60, given.seed, given.load, reload=given.reload)
    return Options(scale, given.models, given.out, given.write)


if __name__ == "__main__":
    main()

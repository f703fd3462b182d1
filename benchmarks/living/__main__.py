"""Reloads, renames and unloads models of a server under load, and tells what it held and kept.

Ctrl-C ends it, and the server with it.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.abuse.results import replace_table
from benchmarks.cost import processor
from benchmarks.living.findings import Findings
from benchmarks.living.kinds import MODELS
from benchmarks.living.living import Scale, Target, live
from benchmarks.living.weights import SHIPPED, Shelf
from benchmarks.soak.findings import promise_sheet
from deploy.local_server import running_server
from rich.console import Console

# A burst at random moments is no overload: a server that may let it wait refuses nothing that is sound.
FLAGS = ("--provider=cpu", "--threads=1", "--grace=20", "--queue-wait=10")
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
def shelf(shipped: Path, models: Sequence[str] = MODELS) -> Iterator[Shelf]:
    """A folder of models with version 1 of each, and other contents for them."""
    with tempfile.TemporaryDirectory() as folder:
        made = Shelf(Path(folder) / "contents", Path(folder) / "models")
        for name in models:
            made.make(shipped, name)
            made.put(name, SHIPPED, 1)
        yield made


def _lived(options: Options) -> Findings:
    with shelf(options.models) as made, tempfile.TemporaryDirectory() as folder:
        admin = f"unix:{folder}/admin"
        with running_server(made.models, options.out / "server.log", *FLAGS, f"--admin-address={admin}") as server:
            target = Target(server.process_id, server.address, admin, server.metrics_address, MODELS)
            return live(target, made, options.scale)


def main(argv: Sequence[str] | None = None) -> None:
    """Change models under load; ends with 1 where a promise is not held."""
    options = _read(argv)
    options.out.mkdir(parents=True, exist_ok=True)
    findings = _lived(options)
    console = Console(width=None if sys.stdout.isatty() else _WIDTH_IN_A_FILE)
    title = f"{processor()}; {options.scale.rate:g} requests/s, seed {options.scale.seed}"
    sheet = promise_sheet(findings, title)
    console.print(sheet.table())
    for text in (*(f"{deed.what}: {deed.outcome}" for deed in findings.wrong), *findings.offences[:SHOWN]):
        console.print(text, markup=False)
    (options.out / "table.md").write_text(sheet.markdown(), encoding="utf-8")
    if options.write is not None:
        replace_table(options.write, sheet.markdown(), "living")
    console.print(f"as Markdown: {options.out / 'table.md'}")
    sys.exit(any(not promise.held for promise in findings.promises()))


def _read(argv: Sequence[str] | None) -> Options:
    parser = argparse.ArgumentParser(description="Changes the models of a server under load, and judges every reply.")
    parser.add_argument("--seconds", type=float, default=30.0, help="in which models change (default: 30)")
    parser.add_argument("--quiet", type=float, default=10.0, help="of the same load before that (default: 10)")
    parser.add_argument("--loads", type=int, default=20, help="and as many switches of aliases (default: 20)")
    parser.add_argument("--rate", type=float, default=30.0, help="requests a second (default: 30)")
    parser.add_argument("--seed", type=int, default=1, help="decides the requests and their moments")
    parser.add_argument("--models", type=Path, default=Path("models"))
    parser.add_argument("--out", type=Path, default=Path("out/living"), help="folder of results (default: out/living)")
    parser.add_argument("--write", type=Path, help="page to put the table into, between its two comments")
    given = parser.parse_args(argv)
    scale = Scale(given.seconds, given.quiet, given.loads, given.rate, given.seed)
    return Options(scale, given.models, given.out, given.write)


if __name__ == "__main__":
    main()

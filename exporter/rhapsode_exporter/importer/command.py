"""The command `rhapsode-train import`."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from rhapsode_exporter.bundle.write import refuse_existing
from rhapsode_exporter.importer import rehearsal
from rhapsode_exporter.importer.importing import Imported, read_model, run_model, write_imported
from rhapsode_exporter.run.report import say

HELP = "Make a bundle of ONNX graphs that were exported elsewhere, described in a YAML file (docs/import.md)."

Files = Annotated[list[Path], typer.Argument(help="The graphs, such as step.onnx.", metavar="GRAPH.onnx…")]
Describe = Annotated[Path, typer.Option("--describe", help="What the graphs are: bundle.yaml.")]
Out = Annotated[Path, typer.Option(help="Where the bundle is written, as OUT/NAME/VERSION.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace a bundle of that version.")]
Rehearse = Annotated[
    bool, typer.Option("--rehearse/--no-rehearse", help="Have the server load it first, where one is installed.")
]
Check = Annotated[bool, typer.Option("--check", help="Say whether it would work, and write nothing.")]


def import_command(console: Console) -> Callable[..., None]:
    """The command, which prints to `console`."""

    def command(
        files: Files,
        describe: Describe,
        out: Out = Path("models"),
        overwrite: Overwrite = False,
        rehearse: Rehearse = True,
        check: Check = False,
    ) -> None:
        planned = read_model(describe, files)
        if not check:
            refuse_existing(planned.folder(out), overwrite)
        imported = run_model(planned)
        _report(imported, console)
        if rehearse:
            say(console, rehearsal.rehearse(imported))
        if check:
            say(console, "nothing written: --check")
        else:
            say(console, f"wrote {write_imported(imported, out, overwrite=overwrite)}")

    return command


def _report(imported: Imported, console: Console) -> None:
    for graph in imported.graphs.values():
        for change in graph.changes:
            say(console, f"{graph.graph.file}: {change}")
    if imported.batch_invariant:
        say(console, "batch-invariant: a row has the same bits in every batch and at every place of it")
    else:
        say(console, "not batch-invariant: the company of other rows changes the last bits of a row")

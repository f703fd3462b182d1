"""The command `rhapsode-train gallery`."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from rhapsode_exporter.data.archives import cache_folder
from rhapsode_exporter.gallery.exhibits import exhibits, sheet_of_real_digits
from rhapsode_exporter.gallery.page import page
from rhapsode_exporter.run.report import say

HELP = "Show what all bundles draw on one page, with the figures that `evaluate --write` put into them."
FILE = "gallery.md"

Models = Annotated[Path, typer.Option(help="The folder of the bundles.")]
Out = Annotated[Path, typer.Option(help="Where the page is written, as OUT/gallery.md, and sheets in OUT/gallery.")]


def gallery_command(console: Console) -> Callable[..., None]:
    """The command, which prints to `console`."""

    def command(models: Models = Path("models"), out: Out = Path("docs")) -> None:
        shown = list(exhibits(models, out))
        digits = next((each for each in shown if each.picture and each.digits), None)
        real = None if digits is None else sheet_of_real_digits(digits, cache_folder(os.environ), out)
        out.mkdir(parents=True, exist_ok=True)
        (out / FILE).write_text(page(shown, real), encoding="utf-8")
        for each in shown:
            say(
                console,
                f"{each.name}: {each.picture or ('a passage' if each.passage else f'not shown, as {each.reason}')}",
            )
        say(console, f"wrote {out / FILE}")

    return command

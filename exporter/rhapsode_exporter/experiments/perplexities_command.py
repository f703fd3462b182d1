"""The command rhapsode-train perplexities."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from rhapsode_exporter.data.archives import cache_folder
from rhapsode_exporter.data.own_text import load_own
from rhapsode_exporter.data.shakespeare import load_works
from rhapsode_exporter.experiments import perplexities
from rhapsode_exporter.run.report import say

HELP = (
    "Count n-grams of characters and of words, with smoothing and without, and tell how well each n foretells.\n\n"
    "Prints a table and writes OUT/perplexities.png; exports no bundle."
)
Out = Annotated[Path, typer.Option(help="Where the plot is written.")]
Data = Annotated[Path | None, typer.Option(help="Your own text or folder of texts instead of Shakespeare's works.")]
Characters = Annotated[int, typer.Option(min=1, max=8, help="The highest n for characters.")]
Words = Annotated[int, typer.Option(min=1, max=5, help="The highest n for words.")]


def perplexities_command(console: Console) -> Callable[..., None]:
    """The command, which prints to `console`."""

    def command(
        out: Out = Path("out"),
        data: Data = None,
        characters: Characters = perplexities.CHARACTER_ORDER,
        words: Words = perplexities.WORD_ORDER,
    ) -> None:
        corpus = load_works(cache_folder(os.environ)) if data is None else load_own(data)
        curves = perplexities.compare(corpus, characters, words)
        console.print(perplexities.as_table(curves))
        out.mkdir(parents=True, exist_ok=True)
        perplexities.draw(curves, out / "perplexities.png")
        say(console, f"wrote {out / 'perplexities.png'}")

    return command

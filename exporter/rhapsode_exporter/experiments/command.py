"""The command rhapsode-train ring."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console

from rhapsode_exporter.experiments import ring
from rhapsode_exporter.run.report import say

HELP = (
    "Play for a ring of eight Gaussians with and without minibatch statistics, and count the modes found.\n\n"
    "Prints a table and writes OUT/ring.png; exports no bundle."
)
Out = Annotated[Path, typer.Option(help="Where the plot is written.")]
Seeds = Annotated[int, typer.Option(min=1, help="How many seeds, from 1 on.")]
Steps = Annotated[int, typer.Option(min=1, help="Steps of either player.")]


def ring_command(console: Console) -> Callable[..., None]:
    """The command, which prints to `console`."""

    def command(out: Out = Path("out"), seeds: Seeds = 5, steps: Steps = ring.STEPS) -> None:
        torch.set_num_threads(1)
        numbers = range(1, seeds + 1)
        games = ring.compare(numbers, steps)
        console.print(ring.as_table(games, numbers))
        out.mkdir(parents=True, exist_ok=True)
        ring.draw(games, numbers, out / "ring.png")
        say(console, f"wrote {out / 'ring.png'}")

    return command

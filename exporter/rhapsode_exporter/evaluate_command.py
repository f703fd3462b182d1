"""The command `rhapsode-train evaluate`."""

import os
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console
from rich.table import Table

from rhapsode_exporter.bundle.figures import put_figures
from rhapsode_exporter.bundle.find import find_bundle
from rhapsode_exporter.bundle.read import read_bundle
from rhapsode_exporter.data.archives import cache_folder
from rhapsode_exporter.data.real import real_pictures
from rhapsode_exporter.evaluation.measure import PICTURES, measure
from rhapsode_exporter.evaluation.metric import PREFIX, Finding
from rhapsode_exporter.run.report import say
from rhapsode_exporter.sampling.opened import open_bundle

HELP = (
    "Measure a bundle of pictures on real pictures that it never saw.\n\n"
    "What it draws is compared with held-out pictures (Fréchet distance, precision and recall, classes, novelty, a "
    "fresh critic), an autoencoder's reconstructions with their originals, a critic's scores with what is no picture "
    "of its kind."
)

Name = Annotated[str, typer.Argument(help="The bundle's name, such as digits-gan.")]
Models = Annotated[Path, typer.Option(help="The folder of the bundles.")]
Version = Annotated[int | None, typer.Option(min=1, help="The bundle's version.", show_default="the newest")]
Seeds = Annotated[int, typer.Option(min=2, max=100, help="How often pictures are drawn, to see how figures spread.")]
Pictures = Annotated[
    int, typer.Option(min=10, help="The most pictures that are drawn with each seed; no more than were held out.")
]
Data = Annotated[
    Path | None, typer.Option(exists=True, help="Your own folder of pictures, where the bundle was trained on it.")
]
Threads = Annotated[int, typer.Option(min=1, help="Processor threads.")]
Write = Annotated[
    bool,
    typer.Option(
        "--write", help=f"Put the figures into bundle.json and the card; their names begin with {PREFIX}, others stay."
    ),
]


def evaluate_command(console: Console) -> Callable[..., None]:
    """The command, which prints to `console`."""

    def command(
        name: Name,
        models: Models = Path("models"),
        version: Version = None,
        seeds: Seeds = 3,
        pictures: Pictures = PICTURES,
        data: Data = None,
        threads: Threads = 1,
        write: Write = False,
    ) -> None:
        folder = find_bundle(models, name, version)
        torch.set_num_threads(threads)
        bundle = open_bundle(folder)
        real = real_pictures(bundle.manifest, cache_folder(os.environ), data)
        found = measure(bundle, real, range(1, seeds + 1), partial(say, console), pictures)
        console.print(_table(found))
        if write:
            put_figures(read_bundle(folder), [finding.metric for finding in found], PREFIX)
            say(console, f"wrote the figures into {folder}")

    return command


def _table(findings: Iterable[Finding]) -> Table:
    table = Table("figure", "value", "least … greatest", "to compare with", box=None)
    for finding in findings:
        metric, values = finding.metric, finding.values
        spread = f"{min(values):.4g} … {max(values):.4g}" if len(values) > 1 else ""
        beside = f"{metric.baseline:.4g} ({metric.baseline_name})" if metric.HasField("baseline") else ""
        table.add_row(metric.name.removeprefix(PREFIX), f"{metric.value:.4g}", spread, beside)
    return table

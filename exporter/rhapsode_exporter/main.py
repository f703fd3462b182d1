"""The command rhapsode-train."""

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console
from rich.table import Column, Table

from rhapsode_exporter.bundle.draft import BundleDraft
from rhapsode_exporter.bundle.quantize import Precision
from rhapsode_exporter.bundle.variant import variant_folder
from rhapsode_exporter.bundle.write import bundle_folder, refuse_existing, write_bundle
from rhapsode_exporter.data.archives import FOLDER_VARIABLE, cache_folder
from rhapsode_exporter.data.own_text import FEWEST_CHARACTERS, FEWEST_DOCUMENTS
from rhapsode_exporter.data.pictures import FEWEST
from rhapsode_exporter.errors import ExporterError
from rhapsode_exporter.evaluate_command import HELP as EVALUATE_HELP
from rhapsode_exporter.evaluate_command import evaluate_command
from rhapsode_exporter.experiments.command import HELP as RING_HELP
from rhapsode_exporter.experiments.command import ring_command
from rhapsode_exporter.experiments.perplexities_command import HELP as PERPLEXITIES_HELP
from rhapsode_exporter.experiments.perplexities_command import perplexities_command
from rhapsode_exporter.families.base import ChoosesData, ChoosesLoss, Family, Order, bundle_names
from rhapsode_exporter.families.catalogue import families
from rhapsode_exporter.gallery_command import HELP as GALLERY_HELP
from rhapsode_exporter.gallery_command import gallery_command
from rhapsode_exporter.importer.command import HELP as IMPORT_HELP
from rhapsode_exporter.importer.command import import_command
from rhapsode_exporter.quantize_command import HELP as QUANTIZE_HELP
from rhapsode_exporter.quantize_command import quantize_bundle, quantize_command
from rhapsode_exporter.run.interrupt import Interrupt
from rhapsode_exporter.run.report import say, say_figures

INTERRUPTED = 130  # the exit status of a command that Ctrl-C ended

Quick = Annotated[bool, typer.Option("--quick", help="A small network, trained in under a minute.")]
Data = Annotated[
    Path | None,
    typer.Option(
        help=f"Your own data instead of the family's: a text file or a folder of texts, of at least "
        f"{FEWEST_CHARACTERS:,} characters, or of {FEWEST_DOCUMENTS} different lines for a family of lines; a folder "
        f"of at least {FEWEST} pictures, which are cropped to squares and scaled; or a data set by name, where a "
        "family knows several.",
    ),
]
Out = Annotated[Path, typer.Option(help="Where the bundle is written, as OUT/NAME/VERSION.")]
Version = Annotated[int, typer.Option(min=1, help="The bundle's version.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace a bundle of that version.")]
Seed = Annotated[int, typer.Option(min=0, help="The same seed on the same machine gives the same weights.")]
Steps = Annotated[int | None, typer.Option(min=1, help="Optimiser steps, instead of the family's own number.")]
Runs = Annotated[Path, typer.Option(help="Where checkpoints, samples and loss curves are kept.")]
Resume = Annotated[bool | None, typer.Option("--resume/--fresh", help="Go on from a checkpoint, or start anew.")]
Threads = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Processor threads; those of a small network mostly wait for each other on a busy machine.",
        show_default="1 with --quick, else all cores",
    ),
]
Schedule = Annotated[str | None, typer.Option(help="The way of training, where a family has several.")]
Loss = Annotated[str | None, typer.Option(help="What a game is played for, where a family has several losses.")]
ErrorBelow = Annotated[
    float | None,
    typer.Option(
        min=0.0,
        help="Stop once the validation error is below this: nats per character of a text, mean squared error of "
        "pictures with values in 0…1 or of a diffusion model's velocity. Not for games, which measure no error.",
    ),
]
ChangeBelow = Annotated[
    float | None,
    typer.Option(min=0.0, help="Stop once that error changes by less than this from one measurement to the next."),
]
Quantize = Annotated[
    Precision | None,
    typer.Option(
        help="Write a variant with matrix weights of 8 or 4 bits beside the bundle (see the command quantize)."
    ),
]


def build_app(catalogue: Sequence[Family], console: Console) -> typer.Typer:
    """One command for each family, and those that need none."""
    app = typer.Typer(
        no_args_is_help=True,
        add_completion=False,
        help="Train a model, measure it on held-out data and export it as a bundle.\n\n"
        f"Data sets are downloaded once, by pinned hash, into .data (or the folder that {FOLDER_VARIABLE} names).",
    )
    app.command("list", help="Say what can be trained.")(_list_command(catalogue, console))
    app.command("evaluate", help=EVALUATE_HELP)(evaluate_command(console))
    app.command("gallery", help=GALLERY_HELP)(gallery_command(console))
    app.command("quantize", help=QUANTIZE_HELP)(quantize_command(console))
    app.command("import", help=IMPORT_HELP)(import_command(console))
    app.command("ring", help=RING_HELP)(ring_command(console))
    app.command("perplexities", help=PERPLEXITIES_HELP)(perplexities_command(console))
    for family in catalogue:
        app.command(family.name, help=f"Train: {family.description}.")(_train_command(family, console))
    return app


def main() -> None:
    """Run the command line; an error of ours is one line on standard error and exit status 1."""
    console = Console()
    try:
        build_app(families(), console)()
    except ExporterError as error:
        Console(stderr=True).print(f"error: {error}", style="red", highlight=False, markup=False, soft_wrap=True)
        sys.exit(1)


def _list_command(catalogue: Sequence[Family], console: Console) -> Callable[[], None]:
    def command() -> None:
        table = Table(Column("name", no_wrap=True), "what it is", box=None)
        for family in catalogue:
            losses = family.losses if isinstance(family, ChoosesLoss) else ()
            choices = (("schedules", family.schedules), ("losses", losses))
            told = [f"{option}: {', '.join(names)}" for option, names in choices if names]
            table.add_row(family.name, "; ".join((family.description, *told)))
        console.print(table)

    return command


def _train_command(family: Family, console: Console) -> Callable[..., None]:
    def command(
        quick: Quick = False,
        data: Data = None,
        out: Out = Path("models"),
        version: Version = 1,
        overwrite: Overwrite = False,
        seed: Seed = 1,
        steps: Steps = None,
        runs: Runs = Path("runs"),
        resume: Resume = None,
        threads: Threads = None,
        schedule: Schedule = None,
        loss: Loss = None,
        error_below: ErrorBelow = None,
        change_below: ChangeBelow = None,
        quantize: Quantize = None,
    ) -> None:
        _refuse_choice(family, "--schedule", schedule, family.schedules)
        _refuse_choice(family, "--loss", loss, family.losses if isinstance(family, ChoosesLoss) else ())
        _refuse_data(family, data)
        _refuse_error(family, "--error-below", error_below)
        _refuse_error(family, "--change-below", change_below)
        for name in bundle_names(family):
            refuse_existing(bundle_folder(out, name, version), overwrite)
            if quantize is not None:
                refuse_existing(variant_folder(out, name, version, quantize), overwrite)
        torch.set_num_threads(threads or (1 if quick else os.cpu_count() or 1))
        with Interrupt() as interrupt:
            order = Order(
                quick=quick,
                seed=seed,
                cache=cache_folder(os.environ),
                runs=runs,
                console=console,
                interrupt=interrupt,
                data=data,
                steps=steps,
                resume=resume,
                schedule=schedule,
                loss=loss,
                error_below=error_below,
                change_below=change_below,
            )
            made = family.train(order)
        if made is None:
            console.print("interrupted; the same command with --resume goes on from the checkpoint")
            raise typer.Exit(INTERRUPTED)
        for draft in made if isinstance(made, tuple) else (made,):
            folder = write_bundle(draft, out, version, overwrite=overwrite)
            _report(draft, folder, console)
            if quantize is not None:
                text = None if draft.sequence is None else data
                quantize_bundle(folder, quantize, out, text, console, overwrite=overwrite)

    return command


def _refuse_choice(family: Family, option: str, choice: str | None, choices: tuple[str, ...]) -> None:
    if choice is not None and choice not in choices:
        raise typer.BadParameter(f"{family.name} has {', '.join(choices) or 'none'}", param_hint=option)


def _refuse_data(family: Family, data: Path | None) -> None:
    known = family.data_sets if isinstance(family, ChoosesData) else ()
    if data is not None and not data.exists() and str(data) not in known:
        also = f", nor a data set that {family.name} knows ({', '.join(known)})" if known else ""
        raise typer.BadParameter(f"{data} is not there{also}", param_hint="--data")


def _refuse_error(family: Family, option: str, value: float | None) -> None:
    if value is not None and not family.measures_error:
        raise typer.BadParameter(f"{family.name} is a game, which measures no error", param_hint=option)


def _report(draft: BundleDraft, folder: Path, console: Console) -> None:
    say(console, f"stopped after {draft.training.steps:,} steps: {draft.training.stop_detail}")
    say_figures(console, draft.metrics)
    say(console, f"wrote {folder}")


if __name__ == "__main__":
    main()

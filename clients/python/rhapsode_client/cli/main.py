"""The commands, gathered under one name."""

import io
import sys
from importlib.metadata import version
from typing import Annotated

import typer

from rhapsode_client.cli import admin
from rhapsode_client.cli.classify import classify
from rhapsode_client.cli.compress import compress, decompress
from rhapsode_client.cli.connection import connected
from rhapsode_client.cli.edit import edit
from rhapsode_client.cli.images import images
from rhapsode_client.cli.judge import judge
from rhapsode_client.cli.models import models
from rhapsode_client.cli.morph import morph
from rhapsode_client.cli.music import music
from rhapsode_client.cli.score import score
from rhapsode_client.cli.text import text
from rhapsode_client.cli.tokenize import tokenize
from rhapsode_client.cli.transform import transform

HELP = """Text and pictures from a Rhapsode server.

- `rhapsode models` lists what is served
- `rhapsode text shakespeare-rnn "ROMEO:" --seed 1` shows text as it comes
- `rhapsode score shakespeare-rnn "To be, or not to be"` says how likely a text is
- `rhapsode classify headlines-critic "You won't believe this"` says of which class a text is
- `rhapsode tokenize shakespeare-rnn "To be"` cuts a text into the model's tokens
- `rhapsode music --metre 6/8 --key G` writes a tune as notes, MIDI, sound and picture
- `rhapsode images digits-gan --count 64` draws a labelled sheet of pictures
- `rhapsode judge digits-critic digit.png` says how real a picture is, and of which class
- `rhapsode morph faces-vae --from 1 --to 2 --out faces.gif` animates the way from one face to another
- `rhapsode edit faces-vae 1 2 --add glasses --out glasses.png` shows faces before and after
- `rhapsode compress faces-codec face.png --out face.rhc` writes a picture in few bytes, `rhapsode decompress` reads it
- `rhapsode transform digits-restore scratched.png --out clean.png` mends a picture

- `rhapsode admin` has the commands for those who run a server

Each command's --help says more. Exit status: 0 done, 1 it could not be done, 2 wrong usage, 130 ended by Ctrl-C.
"""


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"rhapsode {version('rhapsode')}")
        raise typer.Exit


def _options(
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Take the options that stand before the command."""


def build() -> typer.Typer:
    """The command line as an application of typer."""
    app = typer.Typer(
        name="rhapsode", no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode="markdown"
    )
    app.callback(help=HELP)(_options)
    texts = (text, score, classify, tokenize, music)
    pictures = (images, judge, morph, edit, compress, decompress, transform)
    for command in (models, *texts, *pictures):
        app.command()(connected(command))
    app.add_typer(admin.build())
    return app


def main() -> None:
    """Run the command that the process was started with; ends the process."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # for terminals that lack a character
    build()(prog_name="rhapsode")

"""`rhapsode judge`: how real pictures are, and of which class."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.table import Table
from rich.text import Text

from rhapsode_client.cli.connection import DEFAULT_CONNECTION, Connection
from rhapsode_client.cli.options import AsJson, ModelName, Timeout
from rhapsode_client.cli.session import session
from rhapsode_client.cli.terminal import results, write_json
from rhapsode_client.types import ImageScore, ImageScoresResult

Files = Annotated[list[Path], typer.Argument(metavar="FILE", help="Pictures: PNG, WebP or JPEG.")]
Top = Annotated[int, typer.Option(min=0, help="So many of the likeliest classes beside each picture.")]


def judge(
    model: ModelName,
    files: Files,
    top: Top = 3,
    as_json: AsJson = False,
    timeout: Timeout = None,
    connection: Connection = DEFAULT_CONNECTION,
) -> None:
    """Say how real pictures are, of which class they are likely, and how unlike the training pictures.

    More realness is more real, a higher anomaly is stranger; the scales are the model's own, and so is its taste: a
    critic of white digits on black knows nothing of black ones on white. An asterisk marks a picture that was scaled or
    recoloured to fit the model.

    For example:

    - `rhapsode judge digits-critic out/*.png`
    - `rhapsode judge faces-vae me.png --json | jq .anomaly`
    """
    with session(connection) as client:
        result = client.score_images(model, files, timeout=timeout)
        classes = client.model(f"{result.model}@{result.version}", timeout=timeout).classes
        if as_json:
            _write(result, files, classes)
        else:
            results().print(judgement_table(result.scores, files, classes, top))


def _write(result: ImageScoresResult, files: Sequence[Path], classes: Sequence[str]) -> None:
    for file, one in zip(files, result.scores, strict=True):
        origin = {"model": result.model, "version": result.version, "fingerprint": result.fingerprint}
        named = dict(zip(classes, one.class_probabilities.tolist(), strict=False))
        write_json({**origin, "file": str(file), **asdict(one), "class_probabilities": named}, "judgement")


def judgement_table(scores: Sequence[ImageScore], files: Sequence[Path], classes: Sequence[str], top: int) -> Table:
    """A row for each picture; columns that the model has nothing to say for are left out."""
    table = Table(box=None)
    table.add_column("picture", overflow="fold")
    real = any(one.realness is not None for one in scores)
    named = top > 0 and any(len(one.class_probabilities) for one in scores)
    for heading in (*(["realness"] if real else []), "anomaly"):
        table.add_column(heading, justify="right", no_wrap=True)
    if named:
        table.add_column("likely classes")
    for file, one in zip(files, scores, strict=True):
        numbers = [one.realness, one.anomaly] if real else [one.anomaly]
        cells = ("–" if value is None else f"{value:.4g}" for value in numbers)
        name = f"{file} *" if one.converted else str(file)
        table.add_row(Text(name), *cells, *([Text(likely(one, classes, top))] if named else []))
    return table


def likely(score: ImageScore, classes: Sequence[str], top: int) -> str:
    """The likeliest classes with their probabilities, likeliest first."""
    order = np.argsort(-score.class_probabilities, kind="stable")[:top]
    return ", ".join(f"{classes[place]} {score.class_probabilities[place]:.1%}" for place in order)

"""`rhapsode transform`: pictures turned into others."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from rhapsode_client.cli.connection import DEFAULT_CONNECTION, Connection
from rhapsode_client.cli.files import FORMATS, format_of, save
from rhapsode_client.cli.options import AsJson, ModelName, Timeout
from rhapsode_client.cli.session import session
from rhapsode_client.cli.terminal import note, write_json

Files = Annotated[list[Path], typer.Argument(metavar="FILE…", help="PNG, WebP or JPEG files.")]
Out = Annotated[
    Path | None,
    typer.Option(
        metavar="PATH",
        help="A picture (.png, .webp or .jpg) where one FILE is given, otherwise a folder.",
        show_default="a folder named after the model",
    ),
]


def transform(
    model: ModelName,
    files: Files,
    out: Out = None,
    as_json: AsJson = False,
    timeout: Timeout = None,
    connection: Connection = DEFAULT_CONNECTION,
) -> None:
    """Turn pictures into others: restored, or in another style.

    For example:

    - `rhapsode transform digits-restore scratched.png --out clean.png`
    - `rhapsode transform glyphs-bold letters/*.png --out bold`
    """
    paths = _paths(files, out or Path(model.partition("@")[0]))
    _spare(files, paths)
    with session(connection) as client:
        result = client.transform_images(model, files, format=format_of(paths[0]), timeout=timeout)
        for path, picture, converted in zip(paths, result.pictures, result.converted, strict=True):
            save(path, picture.data)
            if as_json:
                told = {"model": result.started.model, "version": result.started.version}
                write_json({"file": str(path), "converted": converted, **told})
            else:
                fitted = ", the picture was scaled or recoloured to fit the model" if converted else ""
                origin = f"{result.started.model}@{result.started.version}"
                note(f"{path}: {picture.width}×{picture.height}, {origin}{fitted}")


def _spare(files: Sequence[Path], paths: Sequence[Path]) -> None:
    """Refuse to write over what is read."""
    given = {file.resolve() for file in files}
    for path in paths:
        if path.resolve() in given:
            raise typer.BadParameter(f"{path} would overwrite a picture that is given", param_hint="--out")


def _paths(files: Sequence[Path], out: Path) -> list[Path]:
    """Where each picture is written."""
    if out.suffix.lower() in FORMATS:
        if len(files) > 1:
            raise typer.BadParameter("--out must be a folder where several files are given")
        return [out]
    paths = [out / f"{file.stem}.png" for file in files]
    if len(set(paths)) < len(paths):
        raise typer.BadParameter("two files have the same name; transform them one after another")
    return paths

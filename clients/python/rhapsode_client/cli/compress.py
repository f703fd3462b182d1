"""`rhapsode compress` and `rhapsode decompress`: a picture file ↔ a file of few bytes."""

from pathlib import Path
from typing import Annotated

import typer

from rhapsode_client.cli.connection import DEFAULT_CONNECTION, Connection
from rhapsode_client.cli.files import format_of, save
from rhapsode_client.cli.options import AsJson, ModelName, Timeout
from rhapsode_client.cli.session import session
from rhapsode_client.cli.terminal import note, write_json

SUFFIX = ".rhc"

PictureFile = Annotated[Path, typer.Argument(metavar="FILE", help="A PNG, WebP or JPEG file.")]
CodeFile = Annotated[Path, typer.Argument(metavar="FILE", help="What `rhapsode compress` wrote.")]
CodeOut = Annotated[
    Path | None, typer.Option("--out", metavar="FILE", help="The code.", show_default="FILE with the ending .rhc")
]
PictureOut = Annotated[
    Path | None,
    typer.Option(
        "--out", metavar="FILE", help="The picture: .png, .webp or .jpg.", show_default="FILE with the ending .png"
    ),
]


def compress(
    model: ModelName,
    file: PictureFile,
    out: CodeOut = None,
    as_json: AsJson = False,
    timeout: Timeout = None,
    connection: Connection = DEFAULT_CONNECTION,
) -> None:
    """Write a picture as a model's code of few bytes.

    What comes back is how the model draws it, so only pictures of its kind come back well.

    For example:

    - `rhapsode compress faces-codec face.png --out face.rhc`
    """
    path = out or file.with_suffix(SUFFIX)
    with session(connection) as client:
        (code,) = client.compress_images(model, [file], timeout=timeout)
        save(path, code.payload)
        if as_json:
            write_json({"file": str(path), "bytes": len(code.payload), "converted": code.converted, "model": model})
        else:
            converted = ", the picture was scaled or recoloured to fit the model" if code.converted else ""
            note(f"{path}: {len(code.payload)} bytes{converted}")


def decompress(
    model: ModelName,
    file: CodeFile,
    out: PictureOut = None,
    as_json: AsJson = False,
    timeout: Timeout = None,
    connection: Connection = DEFAULT_CONNECTION,
) -> None:
    """Make the picture of a code again, with the model that wrote it.

    For example:

    - `rhapsode decompress faces-codec face.rhc --out face.png`
    """
    path = out or file.with_name(f"{file.name}.png")  # never the name of the picture that was compressed
    form = format_of(path)
    with session(connection) as client:
        result = client.decompress_images(model, [file.read_bytes()], format=form, timeout=timeout)
        (picture,) = result.pictures
        save(path, picture.data)
        if as_json:
            write_json({"file": str(path), "model": result.started.model, "version": result.started.version})
        else:
            note(f"{path}: {picture.width}×{picture.height}, {result.started.model}@{result.started.version}")

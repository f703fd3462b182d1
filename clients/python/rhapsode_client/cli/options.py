"""The options that several commands share."""

from typing import Annotated, TypeAlias

import typer

Timeout: TypeAlias = Annotated[
    float | None,
    typer.Option(min=0.0, help="Seconds for the whole request.", show_default="no limit", rich_help_panel="Connection"),
]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print one JSON object a line, for programs.")]
Seed: TypeAlias = Annotated[
    int | None,
    typer.Option(min=0, max=2**64 - 1, metavar="NUMBER", help="Same seed, same result.", show_default="drawn and said"),
]
ModelName: TypeAlias = Annotated[
    str, typer.Argument(metavar="MODEL", help='A model, "name", "name@version" or "name@alias".')
]
ClassName: TypeAlias = Annotated[
    str | None,
    typer.Option("--class", help="The class of every picture: a name, or an index.", show_default="none"),
]
TextClass: TypeAlias = Annotated[
    str | None, typer.Option("--class", metavar="NAME", help="A class that the model was taught.", show_default="none")
]
Scale: TypeAlias = Annotated[
    int | None,
    typer.Option(min=1, max=64, help="Screen pixels for each pixel.", show_default="so that a picture is 96 high"),
]


def image_class(value: str | None) -> int | str | None:
    """A class as the client wants it: an index where `value` is a number."""
    return int(value) if value is not None and value.isdecimal() else value

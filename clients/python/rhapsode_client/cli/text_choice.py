"""The options of `rhapsode text` that choose: the class of the text, and the best of many."""

from typing import Annotated, TypeAlias

import typer

from rhapsode_client.types import KeepBestText

KeepBest: TypeAlias = Annotated[
    int | None,
    typer.Option("--keep-best", min=1, metavar="NUMBER", help="Generate so many, and show the best --candidates."),
]
Critic: TypeAlias = Annotated[
    str | None,
    typer.Option(metavar="MODEL", help="With --keep-best: the critic of texts.", show_default="the model itself"),
]
CriticClass: TypeAlias = Annotated[
    str | None, typer.Option(metavar="NAME", help="With --critic: the class that is wanted.", show_default=False)
]


def keep_best(drawn: int | None, critic: str | None, critic_class: str | None) -> KeepBestText | None:
    """What the three options ask for. Raises a usage error where one lacks another."""
    if (critic is None) != (critic_class is None):
        raise typer.BadParameter("--critic and --critic-class go together")
    if drawn is None:
        if critic is not None:
            raise typer.BadParameter("--critic judges the candidates of --keep-best")
        return None
    return KeepBestText(drawn, critic or "", critic_class or "")

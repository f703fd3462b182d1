"""`rhapsode admin models, load, unload, alias, watch`: models that come and go while a server serves."""

from collections.abc import Iterable
from contextlib import closing
from typing import Annotated, TypeAlias

import typer
from rich.filesize import decimal
from rich.table import Table
from rich.text import Text

from rhapsode_client.cli.connection import AdminConnection
from rhapsode_client.cli.options import AsJson, Timeout
from rhapsode_client.cli.session import administration
from rhapsode_client.cli.terminal import results, spinner, write, write_json
from rhapsode_client.types import ModelStatus

Version: TypeAlias = Annotated[
    str, typer.Argument(metavar="NAME[@VERSION]", help="A version, or the newest one in the models folder.")
]
Versions: TypeAlias = Annotated[str, typer.Argument(metavar="NAME[@VERSION]", help="A version, or all of a model.")]
Some: TypeAlias = Annotated[
    str | None, typer.Argument(metavar="[NAME[@VERSION]]", help="A version, or all of a model.", show_default=False)
]
Name: TypeAlias = Annotated[str, typer.Argument(metavar="NAME", help="A model, without a version.")]
Alias: TypeAlias = Annotated[
    str, typer.Argument(metavar="ALIAS", help='Such as "stable"; "default" is what a bare name means.')
]
Named: TypeAlias = Annotated[
    int | None, typer.Argument(metavar="[VERSION]", min=1, help="The version to name.", show_default=False)
]
Remove: TypeAlias = Annotated[bool, typer.Option("--remove", help="Remove the alias.")]


def models(connection: AdminConnection, model: Some = None, as_json: AsJson = False, timeout: Timeout = 30.0) -> None:
    """List every version of every model that the server knows of, or of one, and where it stands.

    What only lies in the models folder is not among them: `rhapsode admin load` of a version that is not there says
    which are.
    """
    with administration(connection) as client:
        known = client.models(timeout=timeout)
        found = [each for each in known if model in (None, each.model, f"{each.model}@{each.version}")]
        if model and not found:
            raise typer.BadParameter("the server knows of no such model", param_hint="NAME")
        _show(found, as_json)


def load(model: Version, connection: AdminConnection, as_json: AsJson = False, timeout: Timeout = None) -> None:
    """Load a version from the models folder, or load it anew, and wait until it is served.

    What was served before is served until then, and on where the load fails. Ctrl-C does not stop a load.
    """
    with administration(connection) as client:
        with spinner(f"loading {model}"):
            status = client.load_model(model, timeout=timeout)
        _show([status], as_json)


def unload(model: Versions, connection: AdminConnection, as_json: AsJson = False, timeout: Timeout = None) -> None:
    """Serve a version no more, and wait until what it has begun is done and its memory given back.

    A bare NAME is all of its versions.
    """
    with administration(connection) as client:
        with spinner(f"unloading {model}"):
            statuses = client.unload_model(model, timeout=timeout)
        _show(statuses, as_json)


def alias(
    model: Name,
    alias: Alias,
    connection: AdminConnection,
    version: Named = None,
    remove: Remove = False,
    as_json: AsJson = False,
    timeout: Timeout = 30.0,
) -> None:
    """Have an alias name a version, or remove it; says which aliases the model has now.

    For example:

    - `rhapsode admin alias faces-vae stable 2`
    - `rhapsode admin alias faces-vae canary --remove`
    """
    if remove == (version is not None):
        raise typer.BadParameter("give a version, or --remove, and not both", param_hint="VERSION")
    with administration(connection) as client:
        aliases = client.set_model_alias(model, alias, version, timeout=timeout)
        if as_json:
            write_json({"model": model, "aliases": aliases})
            return
        for name, number in aliases.items():
            write(f"{model}@{name} is {model}@{number}\n")


def watch(connection: AdminConnection, as_json: AsJson = False, timeout: Timeout = None) -> None:
    """Print where every version stands, and then what changes, until Ctrl-C."""
    with administration(connection) as client, closing(client.watch_models(timeout=timeout)) as news:
        for statuses in news:
            for status in statuses:
                if as_json:
                    write_json(status)
                else:
                    write(_line(status) + "\n")


def _show(statuses: Iterable[ModelStatus], as_json: bool) -> None:
    if as_json:
        for status in statuses:
            write_json(status)
    else:
        results().print(_table(statuses))


def _table(statuses: Iterable[ModelStatus]) -> Table:
    table = Table("model", "state", "aliases", "size", "changed (UTC)", "problem", box=None, pad_edge=False)
    for status in statuses:
        table.add_row(*map(Text, _cells(status)))  # brackets in a problem are no markup
    return table


def _line(status: ModelStatus) -> str:
    model, state, aliases, _, changed, problem = _cells(status)
    return "  ".join(cell for cell in (changed, model, state, aliases, problem) if cell)


def _cells(status: ModelStatus) -> tuple[str, ...]:
    anew = status.loading and status.state != "loading"
    return (
        f"{status.model}@{status.version}",
        f"{status.state}, loading anew" if anew else status.state,
        ", ".join(status.aliases),
        decimal(status.size) if status.size else "",
        f"{status.changed:%Y-%m-%d %H:%M:%S}",
        status.problem,
    )

"""`rhapsode admin`: what operators see and change, at a server's --admin-address."""

from collections.abc import Sequence
from typing import Annotated

import typer
from rich.console import Group
from rich.table import Table

from rhapsode_client.cli.connection import AdminConnection, connected
from rhapsode_client.cli.model_control import alias, load, models, unload, watch
from rhapsode_client.cli.options import AsJson, Timeout
from rhapsode_client.cli.session import administration
from rhapsode_client.cli.terminal import results, write, write_json
from rhapsode_client.types import LogLevel, ReadCredentials, Readiness, ServerState

HELP = """Administer one server, at its --admin-address.

- `rhapsode admin state` says what it is doing
- `rhapsode admin withdraw` takes it out of rotation, `rhapsode admin ready` puts it back
- `rhapsode admin log-level debug` has it write more into its log
- `rhapsode admin models` lists every version of every model, and where it stands
- `rhapsode admin load faces-vae@2` loads a version from the models folder, or loads it anew
- `rhapsode admin alias faces-vae stable 2` has an alias name a version
- `rhapsode admin unload faces-vae@1` gives memory back
- `rhapsode admin watch` prints what changes

All of them take --address, or read RHAPSODE_ADMIN_ADDRESS, as the server itself does.
"""

Level = Annotated[LogLevel, typer.Argument(metavar="LEVEL", help="debug, info, warning or error.")]


def build() -> typer.Typer:
    """The commands, as an application of typer."""
    app = typer.Typer(name="admin", no_args_is_help=True, rich_markup_mode="markdown", help=HELP)
    for command in (state, ready, withdraw, log_level, reload_credentials, models, load, unload, alias, watch):
        app.command()(connected(command))
    return app


def state(connection: AdminConnection, as_json: AsJson = False, timeout: Timeout = 30.0) -> None:
    """Say what the server is doing now."""
    with administration(connection) as client:
        found = client.server_state(timeout=timeout)
        if as_json:
            write_json(found)
        else:
            results().print(Group(_facts(found), *_tables(found)))


def ready(connection: AdminConnection, as_json: AsJson = False, timeout: Timeout = 30.0) -> None:
    """Put the server back into rotation."""
    _set_readiness(connection, Readiness.READY, as_json, timeout)


def withdraw(connection: AdminConnection, as_json: AsJson = False, timeout: Timeout = 30.0) -> None:
    """Take the server out of rotation; it serves what comes all the same, until it is put back or restarted."""
    _set_readiness(connection, Readiness.WITHDRAWN, as_json, timeout)


def log_level(level: Level, connection: AdminConnection, as_json: AsJson = False, timeout: Timeout = 30.0) -> None:
    """Have more lines in the server's log, or fewer, until it is restarted; says what it was."""
    with administration(connection) as client:
        previous = client.set_log_level(level, timeout=timeout)
        if as_json:
            write_json({"log_level": level, "previous": previous})
        else:
            write(f"{level} (it was {previous})\n")


def reload_credentials(connection: AdminConnection, as_json: AsJson = False, timeout: Timeout = 30.0) -> None:
    """Have the server read its certificate and its access file now; 1 where one of them is not in use."""
    with administration(connection) as client:
        found = client.reload_credentials(timeout=timeout)
        for each in found:
            if as_json:
                write_json(each)
            else:
                write(f"{each.name}: {each.problem or 'in use'}\n")
        if not found and not as_json:
            write("this server reads no credentials from files\n")
    _fail_on(found)


def _fail_on(found: Sequence[ReadCredentials]) -> None:
    if any(each.problem for each in found):
        raise typer.Exit(1)


def _set_readiness(connection: AdminConnection, wanted: Readiness, as_json: bool, timeout: float | None) -> None:
    with administration(connection) as client:
        now = client.set_readiness(wanted, timeout=timeout)
        if as_json:
            write_json({"readiness": now})
        else:
            write(f"{now}\n")


def _facts(state: ServerState) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_row("version", state.version)
    table.add_row("up", f"{state.uptime_seconds:.0f} s")
    table.add_row("readiness", state.readiness)
    table.add_row("event loop late", f"{state.event_loop_lag_seconds * 1000:.0f} ms")
    if state.certificate_expiry is not None:
        table.add_row("certificate ends", f"{state.certificate_expiry:%Y-%m-%d %H:%M} UTC")
    table.add_row("log level", state.log_level)
    return table


def _tables(state: ServerState) -> Sequence[Table]:
    lanes = Table("graph", "slots", "active", "queued", "parked", box=None, pad_edge=False)
    for lane in state.lanes:
        numbers = (lane.slots, lane.active, lane.queued, lane.parked)
        lanes.add_row(f"{lane.model}@{lane.version} {lane.role}", *map(str, numbers))
    rpcs = Table("open rpcs of", "count", box=None, pad_edge=False)
    for each in state.open_rpcs:
        rpcs.add_row(each.method, str(each.count))
    return [table for table in (lanes, rpcs) if table.row_count]

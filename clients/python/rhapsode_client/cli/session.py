"""What surrounds every command: a client, and its errors as one line with what to do."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeAlias

import typer

from rhapsode_client import errors
from rhapsode_client.admin import AdminClient
from rhapsode_client.cli.connection import AdminConnection, Connection
from rhapsode_client.client import Client
from rhapsode_client.types import Model

# What to do, by error; the first one that fits, so the special stand before the general.
Advice: TypeAlias = tuple[tuple[type[errors.RhapsodeError], str], ...]
_ADVICE: Advice = (
    (
        errors.ConnectionLost,
        (
            "is a server running at {address}? See --address, and --tls-ca where it speaks TLS and only there, or "
            "start `rhapsode-server`"
        ),
    ),
    (errors.Unavailable, "try again in a moment"),
    (errors.ModelNotFound, "`rhapsode models` lists what is served"),
    (
        errors.UnknownMethod,
        "is {address} the --admin-address of a server? It serves models at its --address: see --address here",
    ),
    (errors.Unsupported, "`rhapsode models NAME` says what a model can do"),
    (errors.DeadlineExceeded, "ask for less, or give more time with --timeout"),
    (errors.NotAuthenticated, "see --token-file, or --tls-cert and --tls-key"),
    (errors.PermissionDenied, "whoever runs the server says what a credential allows"),
    (errors.QuotaExceeded, "wait a while, or do less at a time"),
    (errors.ServerFailure, "the server's log says more, under request id {request_id}"),
)

_ADMIN_ADVICE: Advice = (
    (
        errors.ConnectionLost,
        "does a server run with {address} as its --admin-address? See --address, and --tls-ca where it speaks TLS",
    ),
    (
        errors.UnknownMethod,
        "is {address} where a server's models are? It is administered at its --admin-address: see --address here",
    ),
    (errors.ModelNotFound, "`rhapsode admin models` lists what the server knows of"),
    (errors.ModelInUse, "`rhapsode admin alias` moves or removes an alias"),
    (errors.RepositoryFull, "`rhapsode admin unload` makes room"),
    (errors.LoadFailed, "a version that was served before is served on; the server's log says more"),
    (
        errors.DeadlineExceeded,
        "the server goes on with a load or an unload: see `rhapsode admin watch`",
    ),
    *_ADVICE,
)


@contextmanager
def session(connection: Connection) -> Iterator[Client]:
    """A client. What fails inside ends the command: 1 with a line on stderr, quietly where our reader has left."""
    with _errors(connection.address, _ADVICE), Client(connection.address, connection.settings()) as client:
        yield client


@contextmanager
def administration(connection: AdminConnection) -> Iterator[AdminClient]:
    """A client of a server's administration; what fails inside ends the command likewise."""
    with _errors(connection.address, _ADMIN_ADVICE), AdminClient(connection.address, connection.settings()) as client:
        yield client


@contextmanager
def _errors(address: str, advice: Advice) -> Iterator[None]:
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read our output has what it wants. Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(0) from None
    except errors.RhapsodeError as error:
        raise _failed(_line(error, address, advice)) from None
    except OSError as error:
        raise _failed(str(error)) from None


def _failed(line: str) -> typer.Exit:
    typer.echo(f"rhapsode: {line}", err=True)
    return typer.Exit(1)


def _line(error: errors.RhapsodeError, address: str, advices: Advice) -> str:
    message = " ".join(error.message.split())
    advice = next((advice for kind, advice in advices if isinstance(error, kind)), "")
    return f"{message} ({advice.format(address=address, request_id=error.request_id)})" if advice else message


def title(model: Model) -> str:
    """A model's full name."""
    return f"{model.name}@{model.version}"

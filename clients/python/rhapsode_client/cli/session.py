"""What surrounds every command: a client, and its errors as one line with what to do."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from rhapsode_client import errors
from rhapsode_client.cli.connection import Connection
from rhapsode_client.client import Client
from rhapsode_client.types import Model

# What to do, by error; the first one that fits, so the special stand before the general.
_ADVICE: tuple[tuple[type[errors.RhapsodeError], str], ...] = (
    (
        errors.ConnectionLost,
        (
            "is a server running at {address}? See --address, and --tls-ca where it speaks TLS and only there, or "
            "start `rhapsode-server`"
        ),
    ),
    (errors.Unavailable, "try again in a moment"),
    (errors.ModelNotFound, "`rhapsode models` lists what is served"),
    (errors.Unsupported, "`rhapsode models NAME` says what a model can do"),
    (errors.DeadlineExceeded, "ask for less, or give more time with --timeout"),
    (errors.NotAuthenticated, "see --token-file, or --tls-cert and --tls-key"),
    (errors.PermissionDenied, "whoever runs the server says what a credential allows"),
    (errors.QuotaExceeded, "wait a while, or do less at a time"),
    (errors.ServerFailure, "the server's log says more, under request id {request_id}"),
)


@contextmanager
def session(connection: Connection) -> Iterator[Client]:
    """A client. What fails inside ends the command: 1 with a line on stderr, quietly where our reader has left."""
    try:
        with Client(connection.address, connection.settings()) as client:
            yield client
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read our output has what it wants. Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(0) from None
    except errors.RhapsodeError as error:
        raise _failed(_line(error, connection.address)) from None
    except OSError as error:
        raise _failed(str(error)) from None


def _failed(line: str) -> typer.Exit:
    typer.echo(f"rhapsode: {line}", err=True)
    return typer.Exit(1)


def _line(error: errors.RhapsodeError, address: str) -> str:
    message = " ".join(error.message.split())
    advice = next((advice for kind, advice in _ADVICE if isinstance(error, kind)), "")
    return f"{message} ({advice.format(address=address, request_id=error.request_id)})" if advice else message


def title(model: Model) -> str:
    """A model's full name."""
    return f"{model.name}@{model.version}"

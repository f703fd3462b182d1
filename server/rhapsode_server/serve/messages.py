"""What a supervisor and a worker say to each other over the pipe between them."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from multiprocessing.connection import Connection
from threading import Lock
from typing import Generic, TypeAlias, TypeVar, cast

from rhapsode_server.config import Config
from rhapsode_server.observe.merge import Family
from rhapsode_server.observe.traces_settings import TracesSettings

Said = TypeVar("Said")
Heard = TypeVar("Heard")


@dataclass(frozen=True, slots=True)
class Order:
    """The first words to a worker: its number among all, and the settings that hold for it."""

    number: int
    config: Config
    tracing: TracesSettings | None


class Command(Enum):
    """What a worker is told from then on."""

    TELL = "tell"  # its metrics: a family a message, then TOLD
    STOP = "stop"  # gracefully, by the rules of a signal


class Word(Enum):
    """What a worker says of itself."""

    TURNS = "turns"  # its event loop does, as the one before the latest TELL found
    TOLD = "told"


@dataclass(frozen=True, slots=True)
class Serving:
    """A worker serves from now on: models with these fingerprints."""

    fingerprints: frozenset[str]


@dataclass(frozen=True, slots=True)
class Failed:
    """A worker cannot start, and ends."""

    message: str
    wrong_option: bool


Report: TypeAlias = Word | Serving | Failed | Family


class Line(Generic[Said, Heard]):
    """One end of the pipe. Any thread may speak, one listens; what is said to an end that has gone is lost."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = Lock()

    def say(self, message: Said) -> None:
        """Send a message."""
        with self._lock, suppress(OSError):
            self._connection.send(message)

    def heard(self) -> Iterator[Heard]:
        """Give what the other end says, until it is gone."""
        with suppress(EOFError, OSError):
            while True:
                yield cast("Heard", self._connection.recv())


Upwards: TypeAlias = Line[Report, Order | Command]
Downwards: TypeAlias = Line[Order | Command, Report]

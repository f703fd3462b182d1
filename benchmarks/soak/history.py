"""What a client saw of its requests, as values: what was asked, every message that came, and how it ended.

In the manner of etcd's robustness tests: clients only note, and the judging is done apart from it (checks.py), so that
any history, of any server, can be judged again.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeAlias

OK, CANCELLED, DEADLINE_EXCEEDED = "OK", "CANCELLED", "DEADLINE_EXCEEDED"


@dataclass(frozen=True, slots=True)
class Question:
    """What decides a reply: requests that have this in common have equal replies."""

    kind: str
    seed: int


@dataclass(frozen=True, slots=True)
class Origin:
    """Who answered. Servers of one fingerprint owe each other's bytes."""

    model: str
    version: int
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Item:
    """A token or a picture, or the one body of a reply that has no parts."""

    lane: int
    """The candidate of a text; 0 for pictures."""
    index: int
    value: str
    """A token's id, or a hash of what came."""


@dataclass(frozen=True, slots=True)
class Finish:
    """The word that a lane has ended."""

    lane: int
    value: str
    """Why, and a hash of its whole text."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a reply."""

    at: float
    items: tuple[Item, ...]
    finished: tuple[Finish, ...] = ()
    origin: Origin | None = None
    """Where the message says it: the first one does."""


@dataclass(frozen=True, slots=True)
class Ending:
    """A terminal status."""

    at: float
    code: str
    reason: str = ""
    """Of its ErrorInfo; empty where it has none."""

    @property
    def outcome(self) -> str:
        """The reason, or the code where there is none."""
        return self.reason or self.code


@dataclass(frozen=True, slots=True)
class Record:
    """One request. Times are seconds of the client's clock."""

    number: int
    question: Question
    started: float
    lanes: int
    """Lanes that an OK has to finish by name; 0 where nothing is finished by name."""
    permitted: tuple[str, ...]
    """Outcomes that the request may have, by reason, or by code where there is none."""
    timeout: float | None = None
    cancelled: float | None = None
    """When its cancel was acknowledged; what was on its way may come until then."""
    messages: tuple[Message, ...] = ()
    endings: tuple[Ending, ...] = ()

    @property
    def items(self) -> tuple[Item, ...]:
        """All that came, in the order in which it came."""
        return tuple(item for message in self.messages for item in message.items)

    @property
    def finished(self) -> tuple[Finish, ...]:
        """The ends that were told, in order."""
        return tuple(finish for message in self.messages for finish in message.finished)

    @property
    def origin(self) -> Origin | None:
        """Who answered, where it was told."""
        return next((message.origin for message in self.messages if message.origin is not None), None)

    @property
    def outcome(self) -> str:
        """How it ended; empty where it did not."""
        return self.endings[0].outcome if self.endings else ""


@dataclass(frozen=True, slots=True)
class Reference:
    """What an idle server answers to one request alone."""

    origin: Origin | None
    items: frozenset[Item]
    finished: frozenset[Finish]


References: TypeAlias = Mapping[Question, Reference]
NOTHING_KNOWN: References = MappingProxyType({})


def reference(record: Record) -> Reference:
    """Take a record of an idle server's reply for the truth. Raises ValueError where it is not whole."""
    if record.outcome != OK:
        raise ValueError(f"{record.question} ended with {record.outcome or 'nothing'} on an idle server")
    return Reference(record.origin, frozenset(record.items), frozenset(record.finished))

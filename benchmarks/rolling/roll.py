"""A rolling restart under load, and what came of it."""

import signal
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from benchmarks.rolling.fleet import Fleet
from benchmarks.rolling.kinds import Kinds
from benchmarks.rolling.load import Answers, Load, Tally

from rhapsode_client import ChannelSettings
from rhapsode_client.addresses import Address
from rhapsode_client.channel import DEFAULT_SETTINGS


@dataclass(frozen=True, slots=True)
class Way:
    """A way to the servers: by the client's own balancing, or by a proxy's."""

    name: str
    address: Address
    connections: int  # to each server
    settings: ChannelSettings = DEFAULT_SETTINGS


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a rolling restart: of each way by its name, and of all. `unary_again` and `streams_again` count the
    attempts beyond the first that servers told of.
    """

    seconds: float
    exits: Sequence[int]
    tallies: Mapping[str, Tally]
    unary_again: int
    streams_again: int


def direct(fleet: Fleet, settings: ChannelSettings = DEFAULT_SETTINGS) -> Way:
    """The client's own balancing; its synchronous and its asynchronous sort have a connection each."""
    return Way("direct", fleet.addresses, 2, settings)


def proxied(address: str) -> Way:
    """A proxy with one connection to each server."""
    return Way("proxied", address, 1)


def roll(
    fleet: Fleet, ways: Sequence[Way], kinds: Kinds, answers: Answers, steps: Sequence[tuple[int, signal.Signals]]
) -> Outcome:
    """End servers and start them again, one after another, each as soon as the one before it serves on all ways."""
    began, before = time.monotonic(), fleet.again()
    loads = {way.name: Load(way.address, kinds, answers, way.settings) for way in ways}
    connections = sum(way.connections for way in ways)
    with ExitStack() as stack:
        for load in loads.values():
            stack.enter_context(load.running())
        exits = [fleet.restart(number, how, connections) for number, how in steps]
    unary, streams = (now - then for now, then in zip(fleet.again(), before, strict=True))
    tallies = {name: load.tally for name, load in loads.items()}
    return Outcome(time.monotonic() - began, exits, tallies, unary, streams)

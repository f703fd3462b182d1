"""A server that is killed and started again at its address, time after time, under the library's clients."""

import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.abuse.promise import Promise, exactly, told
from benchmarks.abuse.victim import models
from benchmarks.rolling.fleet import running_fleet
from benchmarks.rolling.kinds import Kinds, Models
from benchmarks.rolling.load import Tally, right_answers
from benchmarks.rolling.roll import Way, roll

from rhapsode_client import ChannelSettings, Client, RetryPolicy

KILLS = 3
# Of a unary call gRPC makes five attempts at most. By default they bridge 1.5 s, enough where there is another server;
# these bridge the 12 s that a single one may take to come back.
PATIENT = ChannelSettings(retry=RetryPolicy(initial_backoff=1.0, max_backoff=5.0))
REQUESTS = Models(
    text="shakespeare-rnn",
    pictures="digits-gan",
    unary_tokens=64,
    stream_tokens=4000,
    held_tokens=8000,
    unary_pictures=8,
    stream_pictures=1000,
    held_pictures=8000,
)


@dataclass(frozen=True, slots=True)
class Calls:
    """What came of the requests of clients with one policy."""

    unary: int
    streams: int
    failed: tuple[str, ...]
    changed: tuple[str, ...]

    @property
    def unary_failed(self) -> int:
        """Unary calls that failed."""
        return sum(each.startswith("unary") for each in self.failed)


@dataclass(frozen=True, slots=True)
class Restarted:
    """What came of the requests that clients made meanwhile."""

    kills: int
    patient: Calls
    by_default: Calls

    def promises(self) -> Iterator[Promise]:
        """Clients whose policy bridges a restart lose nothing; of one server alone the default policy does not."""
        retry, calls, default = PATIENT.retry, self.patient, self.by_default
        policy = f"RetryPolicy(initial_backoff={retry.initial_backoff:g}, max_backoff={retry.max_backoff:g})"
        yield told(f"unary calls under {self.kills} kills, with {policy}", calls.unary)
        yield told("streams, likewise", calls.streams)
        yield exactly("of them failed", len(calls.failed), 0)
        yield exactly("of them other than undisturbed", len(calls.changed), 0)
        yield told(f"unary calls that fail with the default policy, of {default.unary:,}", default.unary_failed)
        lost = len(default.failed) - default.unary_failed
        yield told(f"streams that fail with the default policy, of {default.streams:,}", lost)
        yield exactly("of its requests other than undisturbed", len(default.changed), 0)


def run(scale: float) -> Restarted:
    """Kill it."""
    with models() as folder:
        return kill_and_restart(folder, REQUESTS, max(1, round(KILLS * scale)))


def kill_and_restart(folder: Path, requests: Models, kills: int, *flags: str) -> Restarted:
    """Kill a server of these bundles so often under load, and start it again at once."""
    kinds = Kinds(requests)
    with running_fleet(folder, "--provider=cpu", "--threads=1", *flags, servers=1) as fleet:
        with Client(fleet.addresses[0]) as client:
            answers = right_answers(client, kinds)
        ways = (
            Way("patient", fleet.addresses, 2, PATIENT),
            Way("by default", fleet.addresses, 0),
        )  # on the same connections
        outcome = roll(fleet, ways, kinds, answers, [(0, signal.SIGKILL)] * kills)
    return Restarted(kills, *(_calls(outcome.tallies[way.name]) for way in ways))


def _calls(tally: Tally) -> Calls:
    return Calls(tally.made("unary"), tally.made("stream"), tuple(tally.failed), tuple(tally.changed))

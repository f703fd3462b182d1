"""A server that is killed and started again at its address, time after time, under the library's clients."""

import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.abuse.promise import Promise, exactly, told
from benchmarks.abuse.victim import models
from benchmarks.rolling.fleet import running_fleet
from benchmarks.rolling.kinds import Kinds, Models
from benchmarks.rolling.load import right_answers
from benchmarks.rolling.roll import direct, roll

from rhapsode_client import ChannelSettings, Client, RetryPolicy

KILLS = 5
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
class Restarted:
    """What came of the requests that clients made meanwhile."""

    kills: int
    unary: int
    streams: int
    failed: tuple[str, ...]
    changed: tuple[str, ...]

    def promises(self) -> Iterator[Promise]:
        """The library's clients lose nothing."""
        yield told(f"unary calls under {self.kills} kills", self.unary)
        yield told(f"streams under {self.kills} kills", self.streams)
        yield exactly("of them failed", len(self.failed), 0)
        yield exactly("of them other than undisturbed", len(self.changed), 0)


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
        way = direct(fleet, PATIENT)
        outcome = roll(fleet, [way], kinds, answers, [(0, signal.SIGKILL)] * kills)
    tally = outcome.tallies[way.name]
    made = tally.made("unary"), tally.made("stream")
    return Restarted(kills, *made, tuple(tally.failed), tuple(tally.changed))

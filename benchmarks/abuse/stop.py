"""A server that is stopped while it is busy, and while clients do not let go of it."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass

import grpc
from benchmarks.abuse import asked
from benchmarks.abuse.good import PLAIN, asking
from benchmarks.abuse.hold import Hold, holding
from benchmarks.abuse.promise import Promise, at_most, exactly, told
from benchmarks.abuse.victim import TEXT, Victim, victim
from benchmarks.abuse.wire import TEXT_STREAM, WATCH, Wire

REQUESTS = 50
SLOTS = 40  # so that ten of them wait for one
GRACE = 30.0
WATCHERS = 20  # clients without a window, which can be told nothing
TOKENS = 4000
_PATIENCE = 60.0


@dataclass(frozen=True, slots=True)
class Stopped:
    """What a stop did to what was under way."""

    in_flight: int
    queued: int
    finished: int
    failures: tuple[str, ...]
    hung: int
    exit_code: int
    seconds: float

    def promises(self) -> Iterator[Promise]:
        """All that was accepted is finished."""
        yield told(f"requests in flight at SIGTERM, of which {self.queued} wait for a slot", self.in_flight)
        yield exactly("lost", self.in_flight - self.finished - self.hung, 0)
        yield exactly("hung", self.hung, 0)
        yield exactly("exit code", self.exit_code, 0)
        yield at_most(f"it ends in spite of {WATCHERS} watchers that read nothing, after", self.seconds, GRACE, "s")


def run(scale: float) -> Stopped:
    """Stop a busy server."""
    requests, slots = max(10, round(REQUESTS * scale)), max(8, round(SLOTS * scale))
    with victim(f"--slots={slots}", f"--grace={GRACE}") as server:
        return stop(server, requests, TOKENS)


def stop(server: Victim, requests: int, tokens: int, model: str = TEXT) -> Stopped:
    """Stop a server with so many requests in flight, half of them streams."""
    with (
        holding(watch_blindly, server.address),
        grpc.insecure_channel(server.address, PLAIN) as channel,
        ThreadPoolExecutor(requests) as pool,
    ):
        kinds = (_unary(channel, tokens, model), _stream(channel, tokens, model))
        futures = [pool.submit(kinds[number % 2]) for number in range(requests)]
        busy = server.patient.until(lambda vitals: vitals.slots + vitals.queued >= requests, 30.0)
        began = time.monotonic()
        code = server.stop()
        seconds = time.monotonic() - began
        done, hung = wait(futures, _PATIENCE)
        failures = tuple(str(error) for each in done if (error := each.exception()))
    return Stopped(requests, busy.queued, len(done) - len(failures), failures, len(hung), code, seconds)


def _unary(channel: grpc.Channel, tokens: int, model: str) -> Callable[[], None]:
    ask = asking(channel)

    def take() -> None:
        ask(asked.text(tokens, model), timeout=_PATIENCE)

    return take


def _stream(channel: grpc.Channel, tokens: int, model: str) -> Callable[[], None]:
    ask: grpc.UnaryStreamMultiCallable[bytes, bytes] = channel.unary_stream(TEXT_STREAM)

    def take() -> None:
        for _ in ask(asked.text_stream(tokens, model), timeout=_PATIENCE):
            pass

    return take


def watch_blindly(hold: Hold, address: str) -> None:
    """Watch the server's health without a window for the news."""
    wires = [Wire(address, window=0) for _ in range(WATCHERS)]
    for wire in wires:
        wire.ask(WATCH, b"")
        wire.flush()
        wire.receive(1.0)
    hold.held()
    for wire in wires:
        wire.close()

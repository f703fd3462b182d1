"""A server that is stopped while it is busy, and while clients do not let go of it."""

import struct
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass

import grpc
from benchmarks.abuse import asked
from benchmarks.abuse.good import PLAIN, asking
from benchmarks.abuse.hold import Hold, holding
from benchmarks.abuse.promise import Promise, at_most, exactly, told
from benchmarks.abuse.raw import DATA, END_HEADERS, END_STREAM, HEADERS, PREFACE, SETTINGS, Raw, block
from benchmarks.abuse.victim import TEXT, Victim, victim
from benchmarks.abuse.wire import TEXT_STREAM, WATCH, frame, framed
from benchmarks.vitals import Vitals
from h2.settings import SettingCodes

REQUESTS = 50
SLOTS = 40  # so that ten of them wait for one
GRACE = 20.0
LAST_WORDS = 4.0  # seconds beyond it: two for what is cut off to get its status, and two to end
WATCHED, WATCHERS = 10, 20  # requests, and clients without a window, which can be told nothing
WAITING = ("--queue-wait=3600", "--long-after=0")  # what waits for a slot is work that was accepted
TOKENS, WARM_UP = 4000, 256
_PATIENCE = 60.0
_DEADLINE = 600.0  # far off: what the server expects not to be in time it refuses at once


@dataclass(frozen=True, slots=True)
class Stopped:
    """What a stop did to what was under way."""

    watchers: int
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
        if self.watchers:
            text = f"it ends in spite of {self.watchers} watchers that read nothing, after"
            yield at_most(text, self.seconds, GRACE + LAST_WORDS, "s")
        else:
            yield at_most("it ends within the grace, after", self.seconds, GRACE, "s")


def run(scale: float) -> Stopped:
    """Stop a busy server."""
    requests, slots = max(10, round(REQUESTS * scale)), max(8, round(SLOTS * scale))
    with victim(f"--slots={slots}", *WAITING, f"--grace={GRACE:g}") as server:
        return stop(server, requests, TOKENS)


def run_watched(_: float) -> Stopped:
    """Stop a server that is busy with a few, and watched by clients that do not let go of it."""
    with victim(f"--grace={GRACE:g}") as server:
        return stop(server, WATCHED, TOKENS, watchers=WATCHERS)


def stop(server: Victim, requests: int, tokens: int, model: str = TEXT, watchers: int = 0) -> Stopped:
    """Stop a server with so many requests in flight, half of them streams."""
    with (
        holding(watch_blindly, server.address, watchers) if watchers else nullcontext(),
        grpc.insecure_channel(server.address, PLAIN) as channel,
        ThreadPoolExecutor(requests) as pool,
    ):
        kinds = (_unary(channel, tokens, model), _stream(channel, tokens, model))
        _unary(channel, WARM_UP, model)()  # a forecast from the first run alone would refuse what is in time
        futures = [pool.submit(kinds[number % 2]) for number in range(requests)]
        busy = _busy(server, futures)
        began = time.monotonic()
        code = server.stop()
        seconds = time.monotonic() - began
        done, hung = wait(futures, _PATIENCE)
        failures = tuple(str(error) for each in done if (error := each.exception()))
    return Stopped(watchers, requests, busy.queued, len(done) - len(failures), failures, len(hung), code, seconds)


def _busy(server: Victim, futures: Sequence["Future[None]"]) -> Vitals:
    """A look at the server when all are in flight. Raises what becomes of one of them before that."""

    def enough(vitals: Vitals) -> bool:
        return vitals.slots + vitals.queued >= len(futures) or any(each.done() for each in futures)

    busy = server.patient.until(enough, _PATIENCE)
    for each in futures:
        if each.done():
            each.result()
            raise RuntimeError("a request was served before all were in flight")
    return busy


def _unary(channel: grpc.Channel, tokens: int, model: str) -> Callable[[], None]:
    ask = asking(channel)

    def take() -> None:
        ask(asked.text(tokens, model), timeout=_DEADLINE)

    return take


def _stream(channel: grpc.Channel, tokens: int, model: str) -> Callable[[], None]:
    ask: grpc.UnaryStreamMultiCallable[bytes, bytes] = channel.unary_stream(TEXT_STREAM)

    def take() -> None:
        for _ in ask(asked.text_stream(tokens, model), timeout=_DEADLINE):
            pass

    return take


def watch_blindly(hold: Hold, address: str, count: int) -> None:
    """Watch the server's health without a window for the news; pings are answered, so as not to be taken for dead."""
    hello = PREFACE + frame(SETTINGS, 0, 0, struct.pack(">HI", SettingCodes.INITIAL_WINDOW_SIZE, 0))
    request = frame(HEADERS, END_HEADERS, 1, block(WATCH)) + frame(DATA, END_STREAM, 1, framed(b""))
    with ExitStack() as stack:
        watchers = [stack.enter_context(Raw(address, hello + request)) for _ in range(count)]
        for watcher in watchers:
            watcher.frames(1.0)
        hold.held(meanwhile=lambda: [watcher.frames(0.02) for watcher in watchers])

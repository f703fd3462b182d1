"""Readers that take the first bytes of a stream and then stand still, a hundred of them."""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from statistics import median

import grpc
from benchmarks.abuse import asked
from benchmarks.abuse.elsewhere import elsewhere
from benchmarks.abuse.hold import Hold, holding
from benchmarks.abuse.leftover import MEGABYTE, Leftover, leftover
from benchmarks.abuse.promise import Promise, at_most, exactly, told
from benchmarks.abuse.steady import tokens_a_second
from benchmarks.abuse.victim import PICTURES, TEXT, Victim, victim
from benchmarks.abuse.wire import PICTURE_STREAM, Wire
from h2.events import DataReceived, Event

from rhapsode.v1.image_pb2 import GenerateImagesRequest, ImageGeneration
from rhapsode.v1.image_pb2_grpc import ImageServiceStub

READERS = 100
REQUESTS = 100  # of others, while the readers stand still
SECONDS = 10.0  # of streams that are read, before, meanwhile and afterwards
STALL = 20.0
PATIENCE = 60.0
ENOUGH = 100_000  # pictures, of which nobody gets far
MOST_MB = 6.0  # 2 MiB of pictures that wait and a run more, a message of 1 MiB on its way, and what they lie in


@dataclass(frozen=True, slots=True)
class Rates:
    """Tokens a second of streams that are read: before, beside readers that stand still, and when these are gone."""

    before: float
    beside: float
    after: float

    @property
    def lost(self) -> float:
        """The share of their rate that the streams lose, in per cent."""
        return 100 * (1 - self.beside / ((self.before + self.after) / 2))


@dataclass(frozen=True, slots=True)
class Stalled:
    """What readers that stand still did."""

    readers: int
    stall_timeout: float
    rates: Rates
    admitted: int
    refused: int
    median_ms: float
    memory_mb: float
    """For each of them, while they stand still."""
    free_after: float
    """Seconds from the last one's beginning until all were given up."""
    left: Leftover

    def promises(self) -> Iterator[Promise]:
        """Others are served as if they were not there, and their work is given up in time."""
        wanted = f"new requests of the same model that are refused, of {self.admitted + self.refused}"
        yield told("readers that stand still", self.readers)
        yield at_most("rate that other streams lose", self.rates.lost, 5.0, "%")
        yield exactly(wanted, self.refused, 0)
        yield told("the median of those that are not", self.median_ms, "ms")
        yield at_most("memory for each reader while it stands still", self.memory_mb, MOST_MB, "MB")
        yield at_most("until all have been given up", self.free_after, self.stall_timeout + 5.0, "s")
        yield from self.left.promises()


def run(scale: float) -> Stalled:
    """Have a hundred of them, at a server of as many slots: they could keep all others out."""
    readers = max(2, round(READERS * scale))
    stall = max(2.0, STALL * scale)
    with victim(f"--slots={readers}", f"--stall-timeout={stall}") as server:
        return stand_still(server, readers, stall, SECONDS * scale, max(2, round(REQUESTS * scale)))


def stand_still(
    server: Victim,
    readers: int,
    stall: float,
    seconds: float,
    requests: int,
    text: str = TEXT,
    pictures: str = PICTURES,
) -> Stalled:
    """Have so many readers of a server that gives them up after `stall` seconds."""

    def rate() -> float:
        return elsewhere(tokens_a_second, server.address, seconds, text).value

    rate()  # warms up
    _ask(server.address, requests, pictures)
    rate_before = rate()
    before = server.patient.until(lambda vitals: vitals.idle, PATIENCE)
    given_up = _given_up(server) + readers
    with holding(hold_streams, server.address, readers, pictures):
        began = time.monotonic()
        times = _ask(server.address, requests, pictures)
        memory = server.patient.look().memory - before.memory
        rate_beside = rate()
        while _given_up(server) < given_up and time.monotonic() < began + stall + PATIENCE:
            time.sleep(0.25)
        free_after = time.monotonic() - began
        server.patient.until(lambda vitals: not vitals.slots, PATIENCE)
    left = leftover(server.patient, before)
    return Stalled(
        readers=readers,
        stall_timeout=stall,
        rates=Rates(rate_before, rate_beside, rate()),
        admitted=len(times),
        refused=requests - len(times),
        median_ms=median(times or [0.0]) * 1e3,
        memory_mb=memory / readers / MEGABYTE,
        free_after=free_after,
        left=left,
    )


class Miser(Wire):
    """A connection that answers pings, and makes no room for more than HTTP/2 begins with."""

    def _note(self, event: Event) -> None:
        if not isinstance(event, DataReceived):
            super()._note(event)


def hold_streams(hold: Hold, address: str, count: int, model: str) -> None:
    """Begin streams of pictures on connections of their own, and leave all but their first 64 KB untaken."""
    with ExitStack() as stack:
        wires: list[Wire] = [stack.enter_context(Miser(address)) for _ in range(count)]
        for wire in wires:
            wire.ask(PICTURE_STREAM, asked.picture_stream(ENOUGH, model))
            wire.flush()
            wire.until(lambda event: isinstance(event, DataReceived))
        stack.enter_context(_answering(wires))
        hold.held()


@contextmanager
def _answering(wires: Sequence[Wire]) -> Iterator[None]:
    """Answer the server's pings in a thread: who does not is cut off before long, and no stalled reader."""
    over = threading.Event()

    def answer() -> None:
        while not over.wait(0.1):
            for wire in wires:
                wire.receive(0.0)

    thread = threading.Thread(target=answer)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _ask(address: str, requests: int, model: str) -> list[float]:
    """Ask for one picture again and again: the seconds of those that came."""
    request = GenerateImagesRequest(generation=ImageGeneration(model=model, seed=1, count=1))
    times: list[float] = []
    with grpc.insecure_channel(address, [("grpc.enable_retries", 0)]) as channel:
        for _ in range(requests):
            began = time.perf_counter()
            try:
                ImageServiceStub(channel).GenerateImages(request, timeout=PATIENCE)
            except grpc.RpcError:
                continue
            times.append(time.perf_counter() - began)
    return times


def _given_up(server: Victim) -> int:
    return server.patient.gauges("rhapsode_streams_given_up_total")["rhapsode_streams_given_up_total"]


if __name__ == "__main__":
    for promise in run(1.0).promises():
        print(f"{promise.text}: {promise.value} {promise.bound}{'' if promise.held else ' NOT HELD'}")

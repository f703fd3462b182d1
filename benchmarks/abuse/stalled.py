"""A hundred readers that stand still beside streams that are read: what those lose, and who is let in.

The streams are read in short windows, by turns without the readers and beside them, so that what else the machine does
falls on both alike. The server's patience is longer than all of it: what it costs to give readers up is told elsewhere.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median

import grpc
from benchmarks.abuse.elsewhere import worker
from benchmarks.abuse.hold import holding
from benchmarks.abuse.leftover import MEGABYTE, Leftover, leftover
from benchmarks.abuse.promise import Promise, at_most, exactly, told
from benchmarks.abuse.standing import GIVEN_UP, PARKED, PATIENCE, READERS, count, hold_streams, wait
from benchmarks.abuse.steady import tokens_in
from benchmarks.abuse.victim import PICTURES, TEXT, Victim, victim

from rhapsode.v1.image_pb2 import GenerateImagesRequest, ImageGeneration
from rhapsode.v1.image_pb2_grpc import ImageServiceStub

REQUESTS = 50  # of others, each time that the readers stand still
ROUNDS = 3
SECONDS = 3.0  # of a window
STALL = "--stall-timeout=600"
MOST_MB = 6.0  # 2 MiB of pictures that wait and a run more, a message of 1 MiB on its way, and what they lie in


@dataclass(frozen=True, slots=True)
class Round:
    """What streams were read in a window before the readers came, beside them, and when they had gone."""

    before: int
    """Tokens."""
    beside: int
    after: int
    parked: int
    """Readers whose work stands still at the window's end."""
    given_up: int
    memory: int
    """Bytes that they cost."""
    request_seconds: tuple[float, ...]
    """Of others that were let in."""

    @property
    def lost(self) -> float:
        """The share of their tokens that the streams lose, in per cent."""
        return 100 * (1 - 2 * self.beside / (self.before + self.after))


@dataclass(frozen=True, slots=True)
class Stalled:
    """What readers that stand still did."""

    readers: int
    asked: int
    """Requests of others in each round."""
    rounds: tuple[Round, ...]
    left: Leftover

    def promises(self) -> Iterator[Promise]:
        """Others are served as if they were not there."""
        seconds = [each for one in self.rounds for each in one.request_seconds]
        wanted = self.asked * len(self.rounds)
        memory = max(one.memory for one in self.rounds) / self.readers / MEGABYTE
        text = "tokens that other streams lose, by turns with and without them, median"
        yield told("readers that stand still", self.readers)
        yield exactly(
            "the fewest of them whose work stands still", min(one.parked for one in self.rounds), self.readers
        )
        yield exactly("of them given up meanwhile", sum(one.given_up for one in self.rounds), 0)
        yield at_most(text, median(one.lost for one in self.rounds), 5.0, "%")
        yield told("the same, worst", max(one.lost for one in self.rounds), "%")
        yield exactly(f"new requests of the same model that are refused, of {wanted}", wanted - len(seconds), 0)
        yield told("the median of those that are not", median(seconds or [0.0]) * 1e3, "ms")
        yield at_most("memory for each reader while it stands still", memory, MOST_MB, "MB")
        yield from self.left.promises()


def run(scale: float) -> Stalled:
    """Have readers stand still."""
    readers, rounds, requests = (max(2, round(number * scale)) for number in (READERS, ROUNDS, REQUESTS))
    with victim(STALL) as server:
        return stand_still(server, readers, rounds, SECONDS, requests)


def stand_still(
    server: Victim, readers: int, rounds: int, seconds: float, requests: int, text: str = TEXT, pictures: str = PICTURES
) -> Stalled:
    """Have so many readers of a server come and go so often."""
    with worker() as at_work:

        def tokens() -> int:
            return at_work(tokens_in, seconds, server.address, text)

        tokens()  # warms up
        _ask(server.address, requests, pictures)
        before = server.patient.until(lambda vitals: vitals.idle, PATIENCE)
        windows, between = [tokens()], []
        for _ in range(rounds):
            with _standing(server, readers, pictures) as stand:
                times = _ask(server.address, requests, pictures)
                memory = server.patient.look().memory - before.memory
                beside = tokens()
                between.append((beside, *stand(), memory, times))
            server.patient.until(lambda vitals: vitals.idle, PATIENCE)
            windows.append(tokens())
    made = tuple(
        Round(first, beside, last, parked, given_up, memory, times)
        for first, (beside, parked, given_up, memory, times), last in zip(windows, between, windows[1:], strict=False)
    )
    return Stalled(readers, requests, made, leftover(server.patient, before))


@contextmanager
def _standing(server: Victim, readers: int, model: str) -> Iterator[Callable[[], tuple[int, int]]]:
    """Readers that stand still, and a look at how many do, and how many were given up."""
    parked, given_up = count(server, PARKED), count(server, GIVEN_UP)
    with holding(hold_streams, server.address, readers, model):
        wait(server, PARKED, parked + readers, PATIENCE)  # until then they are streams like any other
        yield lambda: (count(server, PARKED) - parked, count(server, GIVEN_UP) - given_up)


def _ask(address: str, requests: int, model: str) -> tuple[float, ...]:
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
    return tuple(times)

"""A client that means well: it is connected already, and asks for a little text again and again."""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import median

import grpc
from benchmarks.abuse.promise import Promise, at_least, at_most, exactly, told
from benchmarks.abuse.victim import TEXT
from benchmarks.abuse.wire import TEXT_UNARY
from benchmarks.spread import percentile

from rhapsode.v1.text_pb2 import GenerateTextRequest, Stopping, TextGeneration
from rhapsode.v1.text_pb2_grpc import TextServiceStub
from rhapsode_client.channel import ChannelSettings, channel_options

PAUSE = 0.02  # seconds between two requests
LEAST = 1.0  # requests a second that succeed, whatever happens beside them
DEADLINE = 10.0
# Its failures are to be seen, so nothing is tried again.
PLAIN = (("grpc.enable_retries", 0), ("grpc.use_local_subchannel_pool", 1))


@dataclass
class Record:
    """What came of the requests."""

    seconds: list[float] = field(default_factory=list)
    failures: Counter[str] = field(default_factory=Counter)
    answers: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Served:
    """How a good client fared."""

    seconds: float
    """That it asked."""
    succeeded: int
    failed: int
    changed: int
    """Answers beyond the first that differ from it."""
    p50_ms: float
    p99_ms: float
    failures: tuple[str, ...]

    def promises(self, most_ms: float | None = None) -> Iterator[Promise]:
        """That all went well; and how fast, where that is promised."""
        yield at_least(
            f"a connected client's requests that succeed in {self.seconds:.1f} s",
            self.succeeded,
            max(1, int(LEAST * self.seconds)),
        )
        yield exactly("of its requests fail, or bring something else", self.failed + self.changed, 0)
        text = "a connected client's p99"
        yield told(text, self.p99_ms, "ms") if most_ms is None else at_most(text, self.p99_ms, most_ms, "ms")


class GoodClient:
    """Asks in a thread of its own."""

    def __init__(self, address: str, model: str, retries: bool = False) -> None:
        stopping = Stopping(max_tokens=8)
        self._request = GenerateTextRequest(generation=TextGeneration(model=model, seed=1, stopping=stopping))
        options = channel_options(ChannelSettings()) if retries else PLAIN
        self._channel = grpc.insecure_channel(address, options)
        self._stub = TextServiceStub(self._channel)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._ask_on)
        self._record = Record()
        self._began = self._ended = 0.0

    def start(self) -> None:
        """Connect, warm up, and begin to count. Raises grpc.RpcError where nobody serves."""
        for _ in range(10):
            self._stub.GenerateText(self._request, timeout=DEADLINE, wait_for_ready=True)
        self._began = time.monotonic()
        self._thread.start()

    def stop(self) -> None:
        """Ask no more."""
        self._over.set()
        self._thread.join()
        self._ended = time.monotonic()
        self._channel.close()

    def served(self) -> Served:
        """How it fared until it was stopped."""
        record = self._record
        times = sorted(record.seconds) or [0.0]
        return Served(
            seconds=self._ended - self._began,
            succeeded=len(record.seconds),
            failed=record.failures.total(),
            changed=max(0, len(record.answers) - 1),
            p50_ms=median(times) * 1e3,
            p99_ms=percentile(times, 0.99) * 1e3,
            failures=tuple(f"{count} × {what}" for what, count in record.failures.most_common()),
        )

    def _ask_on(self) -> None:
        while not self._over.wait(PAUSE):
            self._ask()

    def _ask(self) -> None:
        began = time.perf_counter()
        try:
            reply = self._stub.GenerateText(self._request, timeout=DEADLINE)
            answer = reply.candidates[0].text
        except grpc.RpcError as error:
            self._record.failures[f"{error.code().name} {error.details()}"] += 1
        except Exception as error:  # whatever it is, this client was not served
            self._record.failures[f"{type(error).__name__} {error}"] += 1
        else:
            self._record.seconds.append(time.perf_counter() - began)
            self._record.answers.add(answer)


def asking(channel: grpc.Channel) -> "grpc.UnaryUnaryMultiCallable[bytes, bytes]":
    """Asks for text by bytes that were made before."""
    return channel.unary_unary(TEXT_UNARY)


@contextmanager
def good_client(address: str, model: str = TEXT, retries: bool = False) -> Iterator[GoodClient]:
    """A client that asks while the block lasts; `served` says afterwards how it fared.

    With `retries` it has the retry policy of our library, without it has none.
    """
    client = GoodClient(address, model, retries)
    client.start()
    try:
        yield client
    finally:
        client.stop()

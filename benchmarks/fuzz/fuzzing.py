"""Sends many bad requests at a time to a server, and gathers what it should not have answered."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import grpc
from benchmarks.fuzz.cases import Case, case, with_credential
from benchmarks.fuzz.company import Company, company
from benchmarks.fuzz.credentials import sound
from benchmarks.fuzz.examples import Corpus
from benchmarks.fuzz.oracle import problems
from benchmarks.fuzz.sending import Outcome, reason_of, send, short

CHANNELS = 4
COMPANY = 50  # bad requests to one sound one
_OWN_CONNECTION = (("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", -1))


@dataclass(frozen=True, slots=True)
class Finding:
    """A request that was answered as none should be."""

    number: int
    kind: str
    path: str
    what: str
    hex: str


@dataclass(slots=True)
class Tally:
    """What came of all requests so far."""

    answers: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By status and reason."""
    reached: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By kind of request and status."""
    findings: list[Finding] = field(default_factory=list)
    sound: int = 0
    """Sound requests beside them."""

    @property
    def sent(self) -> int:
        """Bad requests."""
        return self.answers.total()

    def take(self, asked: Case, outcome: Outcome) -> None:
        """Count an answer, and judge it."""
        self.answers[outcome.code.name, reason_of(outcome) or short(outcome)] += 1
        self.reached[asked.kind, outcome.code.name] += 1
        self.note(asked, problems(asked, outcome))

    def note(self, asked: Case, wrong: Iterator[str]) -> None:
        """Keep what is wrong with the answer to a request."""
        self.findings += (Finding(asked.number, asked.kind, asked.method.path, what, asked.hex) for what in wrong)


async def fuzz(
    address: str,
    corpus: Corpus,
    numbers: Iterator[int],
    in_flight: int,
    told: Callable[[Tally], None],
    access: bool = False,
) -> Tally:
    """Send the requests with these numbers, so many at a time; `told` hears of each. `access`: with credentials."""
    tally, beside = Tally(), company(corpus, sound().shown if access else ())
    cases = (case(number, corpus) for number in numbers)
    asked = map(with_credential, cases) if access else cases
    async with AsyncExitStack() as stack:
        channels = [
            await stack.enter_async_context(grpc.aio.insecure_channel(address, _OWN_CONNECTION))
            for _ in range(CHANNELS)
        ]
        for turn in range(len(beside.cases)):  # what they answer while nobody else asks
            await _ask(channels[0], beside, turn, tally)
        senders = (_send_all(channels[place % CHANNELS], asked, beside, tally, told) for place in range(in_flight))
        await asyncio.gather(*senders)
        for turn in range(len(beside.cases)):
            await _ask(channels[0], beside, turn, tally)
    return tally


async def _send_all(
    channel: "grpc.aio.Channel",
    cases: Iterator[Case],
    beside: Company,
    tally: Tally,
    told: Callable[[Tally], None],
) -> None:
    for asked in cases:
        tally.take(asked, await send(channel, asked))
        told(tally)
        if tally.sent % COMPANY == 0:
            await _ask(channel, beside, tally.sent // COMPANY, tally)


async def _ask(channel: "grpc.aio.Channel", beside: Company, turn: int, tally: Tally) -> None:
    tally.sound += 1
    tally.note(beside.cases[turn % len(beside.cases)], await beside.ask(channel, turn))

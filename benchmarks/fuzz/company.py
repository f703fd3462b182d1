"""Sound requests in the company of bad ones: the same request must have the same answer all along."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from random import Random

import grpc
from benchmarks.fuzz.cases import TIMEOUT, Case
from benchmarks.fuzz.examples import Corpus
from benchmarks.fuzz.methods import methods
from benchmarks.fuzz.sending import Outcome, send
from google.protobuf.message import Message

ALL = 1000  # messages, more than any of these streams has
_TIMES = "timings"  # the only field of a reply that tells of the moment
# Where its text is cut into messages is chance, and GenerateText gives the same text whole.
_LEFT_OUT = "StreamText"


@dataclass(slots=True)
class Company:
    """One sound request to each method of ours, and the first answer to it."""

    cases: Sequence[Case]
    _first: dict[int, bytes] = field(default_factory=dict)

    async def ask(self, channel: "grpc.aio.Channel", turn: int) -> Iterator[str]:
        """Send the request whose turn it is: what is wrong with the answer."""
        case = self.cases[turn % len(self.cases)]
        outcome = await send(channel, case, ALL)
        return self._judged(case, outcome)

    def _judged(self, case: Case, outcome: Outcome) -> Iterator[str]:
        if outcome.code is not grpc.StatusCode.OK:
            yield f"sound {case.method.name} was refused: {outcome.code.name} {outcome.message[:200]}"
            return
        told = _joined(case, outcome.replies)
        if told != self._first.setdefault(case.number, told):
            yield f"sound {case.method.name} has another answer than at first"


def company(corpus: Corpus, metadata: Sequence[tuple[str, str | bytes]] = ()) -> Company:
    """A request to each method that a model of the server answers; the seeds in it make the answers certain."""
    able = [method for method in methods() if method.ours and method.name != _LEFT_OUT]
    requests = [corpus.example(method, Random(number)) for number, method in enumerate(able)]
    return Company(
        [
            Case(-1 - number, "sound", method, [request.SerializeToString()], TIMEOUT, metadata)
            for number, (method, request) in enumerate(zip(able, requests, strict=True))
            if request.ByteSize() or method.name == "ListModels"
        ]
    )


def _joined(case: Case, replies: Sequence[bytes]) -> bytes:
    """All messages as one, without what they say of the moment: how many there are is chance."""
    whole = case.method.reply()
    for reply in replies:
        whole.MergeFromString(reply)
    _forget_times(whole)
    return whole.SerializeToString(deterministic=True)


def _forget_times(message: Message) -> None:
    for given, value in message.ListFields():
        if given.name == _TIMES:
            message.ClearField(_TIMES)
        elif given.message_type is not None:
            for inner in value if given.is_repeated else (value,):
                if isinstance(inner, Message):  # a map has its keys here
                    _forget_times(inner)

"""The best of many texts: all are generated, kept until the last has ended, and ranked; the first ones are sent."""

import math
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from rhapsode.v1 import text_pb2
from rhapsode_server.engine.job import Timings
from rhapsode_server.errors import InvalidField
from rhapsode_server.repository.registry import LoadedModel
from rhapsode_server.rpc.catalog import Catalog
from rhapsode_server.rpc.contest import ranking
from rhapsode_server.rpc.convert_text import TextJob
from rhapsode_server.rpc.text_reply import News, TextReply, prompt_text
from rhapsode_server.rpc.umpire import Umpire, umpire


@dataclass(frozen=True, slots=True)
class Contest:
    """The job that generates all candidates, and who judges them: a critic, or the model itself where there is none."""

    drawn: TextJob
    umpire: Umpire | None
    prompt: str

    async def scores(self, candidates: "Sequence[Candidate]", until: float) -> Sequence[float]:
        """How good each candidate is."""
        if self.umpire is None:
            return [candidate.mean_logprob for candidate in candidates]
        return await self.umpire.scores([self.prompt + candidate.text for candidate in candidates], until)


def contest(asked: text_pb2.TextGeneration, job: TextJob, loaded: LoadedModel, catalog: Catalog) -> Contest:
    """The contest for what `job` is to send. Raises RequestError where it does not fit the request or its critic."""
    best = asked.keep_best
    if asked.received_token_ids:
        raise InvalidField("generation.keep_best", "must not be set beside received_token_ids")
    if best.drawn < job.candidates:
        rule = f"must be at least candidate_count, {job.candidates}, not {best.drawn}"
        raise InvalidField("generation.keep_best.drawn", rule, {"min": str(job.candidates)})
    judge = umpire(best, catalog)
    logprobs = job.spec.logprobs if judge else job.spec.logprobs or 0  # the model judges by them
    drawn = replace(job, candidates=best.drawn, echo=False, spec=replace(job.spec, logprobs=logprobs))
    given = asked.text if asked.WhichOneof("prompt") == "text" else prompt_text(job, loaded)
    return Contest(drawn, judge, given)


@dataclass(slots=True)
class Candidate:
    """What was generated of one candidate, as it would be sent: on the wire a token takes few bytes."""

    chunks: list[bytes] = field(default_factory=list)
    logprobs: "array[float]" = field(default_factory=lambda: array("f"))
    finished: text_pb2.TextFinished = field(default_factory=text_pb2.TextFinished)

    @property
    def mean_logprob(self) -> float:
        """Of a token; negative infinity where there is none."""
        return math.fsum(self.logprobs) / len(self.logprobs) if self.logprobs else -math.inf

    @property
    def text(self) -> str:
        """All of it."""
        return "".join(chunk.text for chunk in self.told())

    def told(self) -> Iterator[text_pb2.TextChunk]:
        """All chunks, in order."""
        return map(text_pb2.TextChunk.FromString, self.chunks)


class Harvest:
    """Gathers the news of a job whose candidates compete; keeps no more log-probabilities than `told` asks for."""

    def __init__(self, drawn: TextJob, loaded: LoadedModel, told: bool) -> None:
        self._reply = TextReply(drawn, loaded)
        self._told = told
        self.candidates = [Candidate() for _ in range(drawn.candidates)]

    @property
    def generated(self) -> int:
        """Tokens gathered so far, of all candidates."""
        return self._reply.generated

    def take(self, news: News, timings: Callable[[], Timings]) -> None:
        """Take what has been generated, each event as a chunk of its own: so none is larger than a run makes it."""
        for delivery in news:
            candidate = self.candidates[delivery.row.candidate]
            for event in delivery.events:
                (message,) = self._reply.messages([delivery._replace(events=[event])], timings)
                for chunk in message.chunks:
                    candidate.logprobs.extend(position.logprob for position in chunk.logprobs)
                    if not self._told:
                        chunk.ClearField("logprobs")
                    candidate.chunks.append(chunk.SerializeToString())
                for end in message.finished:
                    candidate.finished = end


def best_messages(
    job: TextJob, loaded: LoadedModel, candidates: Sequence[Candidate], scores: Sequence[float], most_bytes: int
) -> Iterator[text_pb2.StreamTextResponse]:
    """The messages of the best candidates, best first and numbered by rank; each of about `most_bytes` at most."""
    *echoes, message = TextReply(job, loaded).messages((), lambda: Timings(None, None, None))
    yield from echoes
    for rank, row in enumerate(ranking(scores)[: job.candidates]):
        for chunk in _packed(candidates[row].told(), rank, most_bytes):
            if message.chunks:
                yield message
                message = text_pb2.StreamTextResponse()
            message.chunks.append(chunk)
        end = message.finished.add()
        end.CopyFrom(candidates[row].finished)
        end.candidate = rank
        end.choice.CopyFrom(text_pb2.TextChoice(row=row, score=scores[row]))
        yield message
        message = text_pb2.StreamTextResponse()


def _packed(chunks: Iterator[text_pb2.TextChunk], rank: int, most_bytes: int) -> Iterator[text_pb2.TextChunk]:
    """The same in fewer chunks, of `most_bytes` at most where more than one is put together."""
    whole, size = text_pb2.TextChunk(), 0
    for chunk in chunks:
        added = chunk.ByteSize()
        if size and size + added > most_bytes:
            yield whole
            size = 0
        if size:
            whole.text += chunk.text
            whole.token_ids.extend(chunk.token_ids)
            whole.logprobs.extend(chunk.logprobs)
        else:
            whole = chunk
            whole.candidate = rank
        size += added
    if size:
        yield whole

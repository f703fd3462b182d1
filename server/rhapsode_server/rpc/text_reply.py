"""What the engine tells of rows of tokens → chunks of text."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType

from rhapsode.v1 import text_pb2
from rhapsode_server.engine.job import Timings
from rhapsode_server.engine.scheduler import Delivery
from rhapsode_server.models.byte_alphabet import to_bytes
from rhapsode_server.models.detokenizer import whole
from rhapsode_server.models.row import TextRow
from rhapsode_server.models.text import Ended, EndReason, Logprob, TextEvent
from rhapsode_server.repository.registry import LoadedModel
from rhapsode_server.rpc.convert_text import TextJob

News = Sequence[Delivery[TextRow, TextEvent]]

_REASONS: Mapping[EndReason, text_pb2.FinishReason.ValueType] = MappingProxyType(
    {
        EndReason.STOP_SEQUENCE: text_pb2.FINISH_REASON_STOP_SEQUENCE,
        EndReason.MAX_TOKENS: text_pb2.FINISH_REASON_MAX_TOKENS,
        EndReason.END_TOKEN: text_pb2.FINISH_REASON_END_TOKEN,
    }
)


class TextReply:
    """Turns the news of one job into messages; knows how many tokens of each candidate it has told."""

    def __init__(self, job: TextJob, loaded: LoadedModel) -> None:
        self._job = job
        self._loaded = loaded
        self._told = [len(job.spec.received)] * job.candidates
        self._begun = False
        self.started = text_pb2.TextStarted(
            seed=job.spec.seed,
            model=loaded.bundle.name,
            version=loaded.bundle.version,
            fingerprint=loaded.fingerprint,
            prompt_token_count=len(job.prompt),
        )

    @property
    def generated(self) -> int:
        """Tokens told so far, of all candidates."""
        return sum(self._told) - len(self._job.spec.received) * self._job.candidates

    def messages(self, news: News, timings: Callable[[], Timings]) -> Iterator[text_pb2.StreamTextResponse]:
        """The messages of these news; before the first ones the prompt of each candidate, where it is echoed."""
        messages = [text_pb2.StreamTextResponse(chunks=[echo]) for echo in self._echoes()]
        messages.append(
            text_pb2.StreamTextResponse(chunks=self._chunks(news), finished=_finished(news, timings, self._job))
        )
        if not self._begun:
            messages[0].started.CopyFrom(self.started)
            self._begun = True
        return iter(messages)

    def _echoes(self) -> Iterator[text_pb2.TextChunk]:
        """The rest of an older stream is not begun by an echo: that has been sent."""
        if self._begun or not self._job.echo or not self._job.prompt or self._job.spec.received:
            return
        text = prompt_text(self._job, self._loaded)
        for candidate in range(self._job.candidates):
            yield text_pb2.TextChunk(candidate=candidate, text=text, token_ids=self._job.prompt, echoed=True)

    def _chunks(self, news: News) -> list[text_pb2.TextChunk]:
        """At most one chunk for each candidate, in the order in which they were heard of."""
        chunks: dict[int, text_pb2.TextChunk] = {}
        for delivery in news:
            candidate = delivery.row.candidate
            if candidate not in chunks:
                chunks[candidate] = text_pb2.TextChunk(candidate=candidate, first_token_index=self._told[candidate])
            self._extend(chunks[candidate], delivery.events)
        return [chunk for chunk in chunks.values() if chunk.text or chunk.token_ids]

    def _extend(self, chunk: text_pb2.TextChunk, events: Sequence[TextEvent]) -> None:
        for event in events:
            if isinstance(event, Ended):
                chunk.text += event.tail
            else:
                chunk.text += event.text
                chunk.token_ids.extend(event.ids)
                chunk.logprobs.extend(map(position_logprobs, event.logprobs))
                self._told[chunk.candidate] += len(event.ids)


def prompt_text(job: TextJob, loaded: LoadedModel) -> str:
    """The prompt's tokens as text, without a character that it ends inside: that comes with what completes it."""
    vocabulary = loaded.bundle.sequence.vocabulary
    spelled = "".join([vocabulary.tokens[token] for token in job.prompt])
    return whole(to_bytes(spelled)) if vocabulary.byte_level else spelled


def _finished(news: News, timings: Callable[[], Timings], job: TextJob) -> Iterator[text_pb2.TextFinished]:
    """The ends among the news."""
    for delivery in news:
        for ended in delivery.events:
            if isinstance(ended, Ended):
                yield text_pb2.TextFinished(
                    candidate=delivery.row.candidate,
                    reason=_REASONS[ended.reason],
                    stop_sequence=ended.stop_sequence,
                    usage=text_pb2.TextUsage(prompt_token_count=len(job.prompt), generated_token_count=ended.generated),
                    timings=_seconds(timings()),
                )


def _seconds(timings: Timings) -> text_pb2.TextTimings:
    return text_pb2.TextTimings(
        queue_seconds=timings.queue_seconds or 0.0,
        first_token_seconds=timings.first_event_seconds or 0.0,
        total_seconds=timings.total_seconds or 0.0,
    )


def position_logprobs(logprob: Logprob) -> text_pb2.PositionLogprobs:
    """A position's log-probabilities for the wire."""
    top = [text_pb2.TokenLogprob(token_id=other, logprob=value) for other, value in logprob.top]
    return text_pb2.PositionLogprobs(logprob=logprob.value, top=top)


def gather(messages: Sequence[text_pb2.StreamTextResponse], job: TextJob) -> text_pb2.GenerateTextResponse:
    """A stream's messages as one answer: one chunk and one end for each candidate, in order."""
    first = len(job.spec.received)
    whole = [text_pb2.TextChunk(candidate=i, first_token_index=first) for i in range(job.candidates)]
    for chunk in (chunk for message in messages for chunk in message.chunks):
        target = whole[chunk.candidate]
        target.text += chunk.text
        target.token_ids.extend(chunk.token_ids)
        target.logprobs.extend(chunk.logprobs)
    finished = sorted((end for message in messages for end in message.finished), key=lambda end: end.candidate)
    return text_pb2.GenerateTextResponse(started=messages[0].started, candidates=whole, finished=finished)

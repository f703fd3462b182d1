"""How a stream of text goes on after a break."""

from collections import defaultdict
from dataclasses import dataclass, field, replace

from rhapsode.v1 import text_pb2 as pb
from rhapsode_client.convert import text as convert
from rhapsode_client.errors import ResumeMismatch, UnexpectedReply
from rhapsode_client.resume.plan import check_same_origin, reference
from rhapsode_client.types import TextChunk, TextFinished, TextStarted, TextUsage


@dataclass(slots=True)
class _Candidate:
    """What has been delivered of one candidate, and where in it the present attempt stands and began."""

    token_ids: list[int] = field(default_factory=list)
    characters: int = 0
    echoed: bool = False
    at_token: int = 0
    at_character: int = 0
    began_at_token: int = 0

    def start_again(self, *, from_the_top: bool) -> None:
        """A new attempt repeats everything, or goes on behind what was delivered."""
        self.at_token = self.began_at_token = 0 if from_the_top else len(self.token_ids)
        self.at_character = 0 if from_the_top else self.characters

    def take(self, chunk: TextChunk) -> TextChunk:
        """The chunk without what was delivered before. Tokens come with their text (text.proto), so what was
        delivered ends at one place, counted in tokens and in characters. Raises ResumeMismatch if the two differ.
        """
        known = min(len(self.token_ids) - self.at_token, len(chunk.token_ids))
        known_text = min(self.characters - self.at_character, len(chunk.text))
        if chunk.token_ids[:known] != tuple(self.token_ids[self.at_token : self.at_token + known]):
            raise ResumeMismatch("the stream broke, and its repetition gave other tokens")
        self.at_token += len(chunk.token_ids)
        self.at_character += len(chunk.text)
        self.token_ids.extend(chunk.token_ids[known:])
        self.characters += len(chunk.text) - known_text
        return replace(
            chunk,
            text=chunk.text[known_text:],
            token_ids=chunk.token_ids[known:],
            logprobs=chunk.logprobs[known:],
            first_token_index=chunk.first_token_index + known,
        )


class TextPlan:
    """A single candidate goes on with `received_token_ids`. Several, or the best of many, are asked for once more
    under the same seed, and what has been delivered is checked and left out: exact too, since equal requests give equal
    tokens.
    """

    def __init__(self, request: pb.StreamTextRequest) -> None:
        self._request = request
        self._count = request.generation.candidate_count or 1
        self._repeats = self._count > 1 or request.generation.HasField("keep_best")
        self._received_before = len(request.generation.received_token_ids)
        self._candidates: defaultdict[int, _Candidate] = defaultdict(_Candidate)
        self.started: TextStarted | None = None
        self._ends: dict[int, TextFinished] = {}

    @property
    def begun(self) -> bool:
        """Whether a server has said what it started, or had said it of the stream that this one goes on with."""
        return self.started is not None or self._received_before > 0

    @property
    def complete(self) -> bool:
        """Whether every candidate has ended."""
        return len(self._ends) >= self._count

    @property
    def origin(self) -> TextStarted | None:
        """What made the tokens that have been delivered; None while none have."""
        return self.started if self._delivered else None

    @property
    def _delivered(self) -> int:
        return sum(len(candidate.token_ids) for candidate in self._candidates.values())

    def ends(self) -> tuple[TextFinished, ...]:
        """How candidates ended, of those that have, in order."""
        return tuple(self._ends[candidate] for candidate in sorted(self._ends))

    def next_request(self) -> pb.StreamTextRequest:
        """The first request as it was made; later ones with the seed and version in use, and what has been received."""
        if self.started is None:
            return self._request
        request = pb.StreamTextRequest()
        request.CopyFrom(self._request)
        request.generation.model = reference(request.generation.model, self.origin)
        request.generation.seed = self.started.seed
        if not self._repeats:
            request.generation.received_token_ids.extend(self._candidates[0].token_ids)
        for candidate in self._candidates.values():
            candidate.start_again(from_the_top=self._repeats)
        return request

    def receive(self, message: pb.StreamTextResponse) -> list[TextChunk]:
        """The new chunks of a message; the start and the ends are noted on the way."""
        if message.HasField("started"):
            self._start(convert.started(message.started))
        chunks = [self._new_in(convert.chunk(chunk)) for chunk in message.chunks]
        for end in message.finished:
            self._finish(convert.finished(end))
        return [chunk for chunk in chunks if chunk is not None]

    def _start(self, started: TextStarted) -> None:
        if self.origin is not None:
            check_same_origin(self.origin, started, f"{self._delivered} tokens")
        self.started = started

    def _new_in(self, chunk: TextChunk) -> TextChunk | None:
        candidate = self._candidates[chunk.candidate]
        if chunk.echoed:
            again, candidate.echoed = candidate.echoed, True
            return None if again else chunk
        expected = self._received_before + candidate.at_token
        if chunk.token_ids and chunk.first_token_index != expected:
            raise UnexpectedReply(f"the server sent token {chunk.first_token_index} where {expected} was due")
        rest = candidate.take(chunk)
        return rest if rest.token_ids or rest.text else None

    def _finish(self, end: TextFinished) -> None:
        before = self._candidates[end.candidate].began_at_token
        usage = TextUsage(end.usage.prompt_token_count, end.usage.generated_token_count + before)
        self._ends[end.candidate] = replace(end, usage=usage)

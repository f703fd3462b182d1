"""What the engine tells of rows that are scored → their scores."""

import math
from collections.abc import Sequence

from rhapsode.v1 import text_pb2
from rhapsode_server.models.byte_alphabet import to_bytes
from rhapsode_server.models.text import Tokens
from rhapsode_server.repository.registry import LoadedModel
from rhapsode_server.rpc.convert_score import ScoreJob
from rhapsode_server.rpc.text_reply import News, position_logprobs


class ScoreReply:
    """Gathers the news of one job into its reply."""

    def __init__(self, job: ScoreJob, loaded: LoadedModel) -> None:
        vocabulary = loaded.bundle.sequence.vocabulary
        self._unknown = vocabulary.unknown_token if vocabulary.HasField("unknown_token") else None
        spelled = vocabulary.tokens[vocabulary.unknown_token]
        unknown = to_bytes(spelled).decode(errors="replace") if vocabulary.byte_level else spelled
        self._surplus = len(unknown) - 1  # characters of it that do not count
        self._logprobs: list[list[float]] = [[] for _ in job.tokens]
        self._characters = [0] * len(job.tokens)
        self._reply = text_pb2.ScoreTextResponse(
            model=loaded.bundle.name,
            version=loaded.bundle.version,
            fingerprint=loaded.fingerprint,
            scores=[text_pb2.TextScore(token_ids=tokens) for tokens in job.tokens],
        )

    @property
    def scored(self) -> int:
        """Tokens scored so far, of all inputs."""
        return sum(map(len, self._logprobs))

    def take(self, news: News) -> None:
        """Take what has been scored; of each row in its order."""
        for delivery in news:
            place = delivery.row.candidate
            for event in delivery.events:
                if isinstance(event, Tokens):
                    self._characters[place] += len(event.text) - self._surplus * event.ids.count(self._unknown)
                    self._logprobs[place] += [logprob.value for logprob in event.logprobs]
                    self._reply.scores[place].logprobs.extend(map(position_logprobs, event.logprobs))

    def message(self) -> text_pb2.ScoreTextResponse:
        """The reply, when all has been taken."""
        for score, logprobs, characters in zip(self._reply.scores, self._logprobs, self._characters, strict=True):
            _sum_up(score, logprobs, characters)
        return self._reply


def _sum_up(score: text_pb2.TextScore, logprobs: Sequence[float], characters: int) -> None:
    total = math.fsum(logprobs)
    score.total_logprob = total
    score.scored_token_count = len(logprobs)
    score.scored_character_count = characters
    score.perplexity = _exp(-total / len(logprobs))
    score.bits_per_character = -total / math.log(2) / characters


def _exp(nats: float) -> float:
    """The exponential, infinite where it is more than a float holds."""
    try:
        return math.exp(nats)
    except OverflowError:
        return math.inf

"""Scores: texts to a request message, the reply message to values."""

from collections.abc import Sequence

from rhapsode.v1 import text_pb2 as pb
from rhapsode_client.convert.scalars import several, text, whole, wholes
from rhapsode_client.convert.text import positions
from rhapsode_client.errors import UnexpectedReply
from rhapsode_client.types import Prompt, ScoreResult, TextScore


def request(model: str, inputs: Sequence[Prompt], top_logprobs: int, class_name: str = "") -> pb.ScoreTextRequest:
    """The request for scores. Raises InvalidRequest where a value has the wrong type for its field."""
    return pb.ScoreTextRequest(
        model=text("model", model),
        inputs=text_inputs(inputs, text("class_name", class_name)),
        top_logprobs=whole("top_logprobs", top_logprobs),
    )


def text_inputs(inputs: Sequence[Prompt], class_name: str = "") -> list[pb.ScoreInput]:
    """Texts to judge, all of one class. Raises InvalidRequest where one has the wrong type for its field."""
    given = enumerate(several("inputs", inputs))
    return [_input(f"inputs[{place}]", one, class_name) for place, one in given]


def _input(field: str, given: Prompt, class_name: str) -> pb.ScoreInput:
    if isinstance(given, str):
        return pb.ScoreInput(text=text(field, given), class_name=class_name)
    return pb.ScoreInput(token_ids=pb.TokenIds(ids=wholes(field, given)), class_name=class_name)


def result(reply: pb.ScoreTextResponse) -> ScoreResult:
    """All scores. Raises UnexpectedReply where the server scored nothing."""
    if not reply.scores:
        raise UnexpectedReply("the server's reply has no score")
    return ScoreResult(reply.model, reply.version, reply.fingerprint, tuple(map(_score, reply.scores)))


def _score(message: pb.TextScore) -> TextScore:
    return TextScore(
        token_ids=tuple(message.token_ids),
        logprobs=positions(message.logprobs),
        total_logprob=message.total_logprob,
        scored_token_count=message.scored_token_count,
        scored_character_count=message.scored_character_count,
        bits_per_character=message.bits_per_character,
        perplexity=message.perplexity,
    )

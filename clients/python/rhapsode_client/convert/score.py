"""Scores: texts to a request message, the reply message to values."""

from collections.abc import Sequence

from rhapsode.v1 import text_pb2 as pb
from rhapsode_client.convert.scalars import text, whole, wholes, wrong_type
from rhapsode_client.convert.text import positions
from rhapsode_client.errors import UnexpectedReply
from rhapsode_client.types import Prompt, ScoreResult, TextScore


def request(model: str, inputs: Sequence[Prompt], top_logprobs: int) -> pb.ScoreTextRequest:
    """The request for scores. Raises InvalidRequest where a value has the wrong type for its field."""
    if isinstance(inputs, str):  # a sequence of texts too, of one character each, which nobody means
        raise wrong_type("inputs", "must be a list of texts, not one text")
    return pb.ScoreTextRequest(
        model=text("model", model),
        inputs=[_input(f"inputs[{place}]", given) for place, given in enumerate(inputs)],
        top_logprobs=whole("top_logprobs", top_logprobs),
    )


def _input(field: str, given: Prompt) -> pb.ScoreInput:
    if isinstance(given, str):
        return pb.ScoreInput(text=text(field, given))
    return pb.ScoreInput(token_ids=pb.TokenIds(ids=wholes(field, given)))


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

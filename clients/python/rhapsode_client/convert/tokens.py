"""Tokens: texts or ids to a request message, the reply message to values."""

from collections.abc import Sequence

from rhapsode.v1 import text_pb2 as pb
from rhapsode_client.convert.scalars import text, wholes, wrong_type
from rhapsode_client.errors import UnexpectedReply
from rhapsode_client.types import Prompt, TokenizedText, TokenizeResult


def request(model: str, inputs: Sequence[Prompt]) -> pb.TokenizeTextRequest:
    """The request for tokens. Raises InvalidRequest where a value has the wrong type for its field."""
    if isinstance(inputs, str):  # a sequence of texts too, of one character each, which nobody means
        raise wrong_type("inputs", "must be a list of texts, not one text")
    return pb.TokenizeTextRequest(
        model=text("model", model),
        inputs=[_input(f"inputs[{place}]", given) for place, given in enumerate(inputs)],
    )


def _input(field: str, given: Prompt) -> pb.TokenizeInput:
    if isinstance(given, str):
        return pb.TokenizeInput(text=text(field, given))
    return pb.TokenizeInput(token_ids=pb.TokenIds(ids=wholes(field, given)))


def result(reply: pb.TokenizeTextResponse) -> TokenizeResult:
    """All inputs as tokens and text. Raises UnexpectedReply where the server gave none."""
    if not reply.tokenized:
        raise UnexpectedReply("the server's reply has no tokens")
    return TokenizeResult(reply.model, reply.version, tuple(map(_tokenized, reply.tokenized)))


def _tokenized(message: pb.TokenizedText) -> TokenizedText:
    return TokenizedText(tuple(message.token_ids), tuple(message.pieces), message.text)

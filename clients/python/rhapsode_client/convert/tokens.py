"""Tokens: texts or ids to a request message, the reply message to values."""

from collections.abc import Sequence

from rhapsode.v1 import text_pb2 as pb
from rhapsode_client.convert.scalars import several, text, wholes
from rhapsode_client.errors import UnexpectedReply
from rhapsode_client.types import Prompt, TokenizedText, TokenizeResult


def request(model: str, inputs: Sequence[Prompt]) -> pb.TokenizeTextRequest:
    """The request for tokens. Raises InvalidRequest where a value has the wrong type for its field."""
    given = enumerate(several("inputs", inputs))
    return pb.TokenizeTextRequest(
        model=text("model", model), inputs=[_input(f"inputs[{place}]", one) for place, one in given]
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

"""Classes of texts: texts to a request message, the reply message to values."""

from collections.abc import Sequence

from rhapsode.v1 import text_pb2 as pb
from rhapsode_client.convert.scalars import text
from rhapsode_client.convert.score import text_inputs
from rhapsode_client.errors import UnexpectedReply
from rhapsode_client.types import ClassificationsResult, Prompt, TextClassification


def request(model: str, inputs: Sequence[Prompt]) -> pb.ClassifyTextRequest:
    """The request for judgements. Raises InvalidRequest where a value has the wrong type for its field."""
    return pb.ClassifyTextRequest(model=text("model", model), inputs=text_inputs(inputs))


def result(reply: pb.ClassifyTextResponse) -> ClassificationsResult:
    """All judgements. Raises UnexpectedReply where the server judged nothing."""
    if not reply.classifications:
        raise UnexpectedReply("the server's reply has no classification")
    found = (TextClassification(tuple(one.class_probabilities), one.token_count) for one in reply.classifications)
    return ClassificationsResult(reply.model, reply.version, reply.fingerprint, tuple(reply.classes), tuple(found))

"""ClassifyText: texts → the rows that a critic judges, judgements → the reply."""

import asyncio
from collections.abc import Sequence
from functools import partial

from rhapsode.v1 import text_pb2
from rhapsode_server.config import Config
from rhapsode_server.errors import InvalidField, OutputTooLarge, Unsupported
from rhapsode_server.models.critic import Probabilities
from rhapsode_server.models.text_critic import TextCriticRow
from rhapsode_server.rpc.convert_score import input_tokens
from rhapsode_server.rpc.convert_text import BYTES_OF_END
from rhapsode_server.rpc.reading import Reading
from rhapsode_server.rpc.served import Served, TextCriticDriver

_BYTES_OF_PROBABILITY = 4
_BYTES_OF_LENGTH = 5  # and kind of a text in a list


def text_critic(served: Served) -> TextCriticDriver:
    """The driver that judges texts. Raises Unsupported where the model does not."""
    if served.text_critic is None:
        raise Unsupported(f"{served.loaded.bundle.name} is no critic of texts")
    return served.text_critic


def check_fits(asked: text_pb2.ClassifyTextRequest, served: Served, config: Config) -> None:
    """Raise Unsupported where the model judges no texts, OutputTooLarge where the reply would outgrow a message."""
    text_critic(served)
    classes = served.loaded.bundle.classes
    each = BYTES_OF_END + _BYTES_OF_PROBABILITY * len(classes)
    size = BYTES_OF_END + sum(len(name.encode()) + _BYTES_OF_LENGTH for name in classes) + len(asked.inputs) * each
    if size > config.message_bytes:
        rule = f"may give {size} bytes, over the limit of {config.message_bytes}; classify fewer at a time"
        raise OutputTooLarge("inputs", rule, {"bytes": str(size), "max": str(config.message_bytes)})


async def classified_rows(
    asked: text_pb2.ClassifyTextRequest, served: Served, reading: Reading
) -> Sequence[TextCriticRow]:
    """A row for each text, read in a turn of its own. Raises RequestError where the critic cannot take one."""
    rows: list[TextCriticRow] = []
    for place, given in enumerate(asked.inputs):
        tokens = await reading.read(
            len(given.text), served.loaded.name, partial(_tokens, given, f"inputs[{place}]", served)
        )
        rows.append(TextCriticRow(tokens))
        await asyncio.sleep(0)
    return rows


def _tokens(given: text_pb2.ScoreInput, path: str, served: Served) -> tuple[int, ...]:
    if given.class_name:
        raise InvalidField(f"{path}.class_name", "must be empty: a critic says of which class a text is")
    tokens = input_tokens(given, path, served, served.loaded.bundle.sequence.longest_prompt)
    if not tokens:
        raise InvalidField(f"{path}.{given.WhichOneof('input')}", "must have at least 1 token", {"min_tokens": "1"})
    return tokens


def classification_reply(
    rows: Sequence[TextCriticRow], judged: Sequence[Probabilities], served: Served
) -> text_pb2.ClassifyTextResponse:
    """What was found of each text, in order."""
    loaded = served.loaded
    return text_pb2.ClassifyTextResponse(
        model=loaded.bundle.name,
        version=loaded.bundle.version,
        fingerprint=loaded.fingerprint,
        classes=loaded.bundle.classes,
        classifications=[
            text_pb2.TextClassification(class_probabilities=probabilities.tolist(), token_count=len(row.tokens))
            for row, probabilities in zip(rows, judged, strict=True)
        ],
    )

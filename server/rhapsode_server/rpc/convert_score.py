"""A request for scores → the rows that the engine steps."""

from collections.abc import Sequence
from dataclasses import dataclass

from rhapsode.v1 import text_pb2
from rhapsode_server.config import Config
from rhapsode_server.errors import InvalidField, OutputTooLarge
from rhapsode_server.models.row import TextRow
from rhapsode_server.models.text import TextSpec
from rhapsode_server.rpc.classes import class_prefix
from rhapsode_server.rpc.convert_text import (
    BYTES_OF_END,
    BYTES_OF_ID,
    BYTES_OF_LOGPROBS,
    BYTES_OF_TOP,
    longest_prompt,
    text_parts,
    tokens_of,
)
from rhapsode_server.rpc.served import Served, TextDriver


@dataclass(frozen=True, slots=True)
class ScoreJob:
    """What a request for scores asks of a model.

    `tokens` are each input's as the client gave it: no start token, and no prefix of a class.
    """

    driver: TextDriver
    tokens: Sequence[tuple[int, ...]]
    rows: Sequence[TextRow]
    """A row for each input, whose candidate is the input's place."""


def check_fits(asked: text_pb2.ScoreTextRequest, served: Served, config: Config) -> None:
    """Raise OutputTooLarge where the reply would outgrow a message however few tokens the texts have; reads none."""
    _, tokenizer = text_parts(served)
    most = longest_prompt(served, config)
    # A text that is too long by itself is told as such when it is read.
    least = [min(len(each.token_ids.ids) + tokenizer.fewest(each.text), most) for each in asked.inputs]
    _check_size(sum(least), asked, config)


@dataclass(frozen=True, slots=True)
class Scored:
    """An input as the model sees it: what is fed before it, which is not scored, and its own tokens."""

    before: tuple[int, ...]
    tokens: tuple[int, ...]


def scored(asked: text_pb2.ScoreInput, path: str, served: Served, config: Config) -> Scored:
    """The input at `path`. Raises RequestError where its tokens are too many, or too few to score any."""
    prefix = class_prefix(asked.class_name, f"{path}.class_name", served)
    tokens = input_tokens(asked, path, served, longest_prompt(served, config) - len(prefix))
    before = prefix or _start(served)
    least = 1 if before else 2
    if len(tokens) < least:
        why = "" if before else ": the model names no start token, so the first token is not scored"
        kind = asked.WhichOneof("input")
        raise InvalidField(f"{path}.{kind}", f"must have at least {least} tokens{why}", {"min_tokens": str(least)})
    return Scored(before, tokens)


def input_tokens(asked: text_pb2.ScoreInput, path: str, served: Served, most: int) -> tuple[int, ...]:
    """The tokens of the input at `path`. Raises RequestError where they are more than `most`, or unknown."""
    given = asked.token_ids if asked.WhichOneof("input") == "token_ids" else asked.text
    return tokens_of(given, path, served, most)


def score_job(asked: text_pb2.ScoreTextRequest, inputs: Sequence[Scored], served: Served, config: Config) -> ScoreJob:
    """Make a job of a request within its bounds and of its inputs.

    Raises OutputTooLarge where the reply could outgrow a message.
    """
    driver, _ = text_parts(served)
    _check_size(sum(len(each.tokens) for each in inputs), asked, config)
    rows = [TextRow(_spec(each, asked.top_logprobs), place) for place, each in enumerate(inputs)]
    return ScoreJob(driver, [each.tokens for each in inputs], rows)


def _spec(given: Scored, top: int) -> TextSpec:
    unscored = max(1, len(given.before))
    return TextSpec(prompt=(*given.before, *given.tokens), max_tokens=0, logprobs=top, unscored=unscored)


def _check_size(tokens: int, asked: text_pb2.ScoreTextRequest, config: Config) -> None:
    """Figures and header, of which a reply has one more than inputs, are shorter than the end of a candidate."""
    each = BYTES_OF_ID + BYTES_OF_LOGPROBS + BYTES_OF_TOP * asked.top_logprobs
    size = tokens * each + (1 + len(asked.inputs)) * BYTES_OF_END
    if size > config.message_bytes:
        rule = f"may give {size} bytes, over the limit of {config.message_bytes}; score fewer at a time"
        raise OutputTooLarge("inputs", rule, {"bytes": str(size), "max": str(config.message_bytes)})


def _start(served: Served) -> tuple[int, ...]:
    """What stands before an input without a class: the start token, where the vocabulary names one."""
    vocabulary = served.loaded.bundle.sequence.vocabulary
    return (vocabulary.start_token,) if vocabulary.HasField("start_token") else ()

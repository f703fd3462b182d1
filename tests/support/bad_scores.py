"""Requests for scores that must be refused, and how."""

from typing import Any

import grpc

from rhapsode.v1 import text_pb2
from rhapsode.v1.text_pb2 import ScoreInput, TokenIds
from support.bad_requests import FACES, Case


def score_case(name: str, field: str, words: str, *inputs: ScoreInput, **fields: Any) -> Case:
    reason = fields.pop("reason", "INVALID_FIELD")
    return Case(
        name, text_pb2.ScoreTextRequest(**({"model": "tiny-text", "inputs": inputs} | fields)), field, words, reason
    )


ONE = ScoreInput(text="a")
SCORES = [
    score_case("no texts to score", "inputs", "1 to 64 elements"),
    score_case("65 texts to score", "inputs", "1 to 64 elements", *[ONE] * 65),
    score_case("a text to score that is not there", "inputs[1].input", "must have", ONE, ScoreInput()),
    score_case("an empty text to score", "inputs[0].text", "1 to 1048576 bytes", ScoreInput(text="")),
    score_case("no ids to score", "inputs[0].token_ids", "at least 1", ScoreInput(token_ids=TokenIds())),
    score_case("one token without a start token", "inputs[0].text", "at least 2", ONE, model="no-start"),
    score_case("a text too long to score", "inputs[1].text", "at most 500", ONE, ScoreInput(text="a" * 501)),
    score_case("one by far too long", "inputs[0].text", "at most 500", ScoreInput(text="a" * 400_000)),
    score_case("a score of an emoji", "inputs[0].text", "index 1", ScoreInput(text="a🙂"), reason="UNKNOWN_TOKEN"),
    score_case(
        "a score of an id too high",
        "inputs[1].token_ids.ids",
        "index 2",
        ONE,
        ScoreInput(token_ids=TokenIds(ids=[1, 2, 30])),
        reason="UNKNOWN_TOKEN",
    ),
    score_case("too many likeliest tokens beside scores", "top_logprobs", "at most 20", ONE, top_logprobs=21),
    score_case(
        "scores too large",
        "inputs",
        "score fewer",
        *[ScoreInput(text="a" * 500)] * 64,
        top_logprobs=20,
        reason="OUTPUT_TOO_LARGE",
    ),
    score_case("a score by the name ..", "model", "must match", ONE, model=".."),
    Case(
        "a score by a picture model",
        text_pb2.ScoreTextRequest(model=FACES, inputs=[ONE]),
        reason="UNSUPPORTED",
        code=grpc.StatusCode.FAILED_PRECONDITION,
    ),
    Case(
        "a score by an unknown model",
        text_pb2.ScoreTextRequest(model="nobody", inputs=[ONE]),
        reason="MODEL_NOT_FOUND",
        code=grpc.StatusCode.NOT_FOUND,
    ),
]

"""Requests for far too much, each field by itself legal to send: what their refusals cost a server."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import grpc
from benchmarks.fuzz.examples import Corpus
from benchmarks.vitals import Patient

from rhapsode.v1 import image_pb2, model_pb2, text_pb2
from rhapsode.v1.image_pb2_grpc import ImageServiceStub
from rhapsode.v1.model_pb2 import Capability
from rhapsode.v1.text_pb2_grpc import TextServiceStub

MOST = 2**32 - 1
ROUNDS = 300
_TEXT, _PICTURES = model_pb2.CAPABILITY_GENERATE_TEXT, model_pb2.CAPABILITY_GENERATE_IMAGES


@dataclass(frozen=True, slots=True)
class Refusals:
    """What refusals cost: of each, the server's CPU time and the time until the client had it; of all, memory."""

    count: int
    cpu: float
    wall: float
    memory: int


class NotRefusedError(Exception):
    """A request for far too much was served."""


def texts(model: str) -> Sequence[text_pb2.TextGeneration]:
    """Far too much text."""
    ids = text_pb2.TokenIds(ids=[1])
    return (
        *(
            text_pb2.TextGeneration(model=model, token_ids=ids, stopping=text_pb2.Stopping(max_tokens=tokens))
            for tokens in (MOST, 10**9, 0)
        ),
        text_pb2.TextGeneration(model=model, token_ids=ids, candidate_count=MOST),
        text_pb2.TextGeneration(model=model, token_ids=ids, logprobs=2**31),
    )


def pictures(model: str) -> Sequence[image_pb2.ImageGeneration]:
    """Far too many pictures."""
    return [image_pb2.ImageGeneration(model=model, count=count) for count in (MOST, 10**9, 100_001, 0, 100_000)]


def refuse_all(channel: grpc.Channel, text_model: str, picture_model: str) -> Iterator[grpc.RpcError]:
    """Ask for all of them: how each was refused. Raises NotRefusedError for one that was not."""
    text, image = TextServiceStub(channel), ImageServiceStub(channel)
    for asked in texts(text_model):
        try:
            text.GenerateText(text_pb2.GenerateTextRequest(generation=asked))
        except grpc.RpcError as error:
            yield error
        else:
            raise NotRefusedError(str(asked))
    for many in pictures(picture_model):
        try:
            image.GenerateImages(image_pb2.GenerateImagesRequest(generation=many))
        except grpc.RpcError as error:
            yield error
        else:
            raise NotRefusedError(str(many))


def measure(channel: grpc.Channel, known: Corpus, patient: Patient, rounds: int = ROUNDS) -> Refusals:
    """Have them refused again and again, one at a time; those of a first third are not counted."""
    models = [_first(known, capability) for capability in (_TEXT, _PICTURES)]
    for _ in range(rounds // 3):
        list(refuse_all(channel, *models))
    before, began = patient.look(), time.perf_counter()
    count = sum(1 for _ in range(rounds) for _ in refuse_all(channel, *models))
    wall, after = time.perf_counter() - began, patient.look()
    cpu = after.cpu_seconds - before.cpu_seconds
    return Refusals(count, cpu / count, wall / count, after.memory - before.memory)


def _first(known: Corpus, capability: Capability.ValueType) -> str:
    return next(model.name for model in known.models if capability in model.capabilities)

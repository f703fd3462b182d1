"""Requests served alone, and the same again in a crowd whose callers come, end, and leave in mid-stream."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import grpc

from rhapsode.v1.image_pb2 import (
    ImageGeneration,
    InterpolateImagesRequest,
    ScoreImagesRequest,
    TransformImagesRequest,
)
from rhapsode.v1.model_pb2 import GetModelRequest, ListModelsRequest, Model
from rhapsode.v1.model_pb2_grpc import ModelServiceStub
from rhapsode.v1.text_pb2 import TextGeneration
from support.dice import Dice
from support.random_requests import Asked, makers_of, requests
from support.replies import reply

CALLERS = 32  # of each model
LEAVERS = 0.25  # the share of requests beside which somebody begins another one and leaves before its end
MOST_JUDGED = 256  # pictures that a request may have judged
MANY = 200  # pictures to transform that nobody stays for
LONG = 400  # tokens, pictures or frames that nobody stays for


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of requests that were served twice."""

    model: Model
    served: int
    left: int
    """Other requests beside them that were cancelled under way."""
    differing: list[Asked]
    """Those whose reply in company was not that of being alone, byte by byte."""


async def trials(address: str, seed: int, count: int) -> list[Trial]:
    """Serve so many random requests of each model that answers any, one at a time, then all of them in company.

    Every model has a connection of its own. The rows of two models never share a run: a model's request is alone where
    it is the only one of this model.
    """
    async with _connection(address) as channel:
        stub = ModelServiceStub(channel)
        listed = (await stub.ListModels(ListModelsRequest())).models
        names = [model.name for model in listed if makers_of(model)]
        models = [(await stub.GetModel(GetModelRequest(model=name))).model for name in names]
    asked = [list(requests(model, seed, count)) for model in models]
    alone = await asyncio.gather(*(_alone(address, group) for group in asked))
    crowds = [Crowd(model, group, seed) for model, group in zip(models, asked, strict=True)]
    await asyncio.gather(*(crowd.serve(address) for crowd in crowds))
    return [crowd.trial(replies) for crowd, replies in zip(crowds, alone, strict=True)]


def _connection(address: str) -> grpc.aio.Channel:
    """A connection that no other channel shares."""
    return grpc.aio.insecure_channel(address, options=[("grpc.use_local_subchannel_pool", 1)])


async def _alone(address: str, asked: Sequence[Asked]) -> list[bytes]:
    async with _connection(address) as channel:
        return [await reply(channel, one, streamed=False) for one in asked]


class Crowd:
    """Serves a model's requests in random order to callers, each of whom asks again as soon as it has its reply."""

    def __init__(self, model: Model, asked: Sequence[Asked], seed: int) -> None:
        dice = Dice(seed)
        self._model = model
        self._asked = asked
        self._leavers = list(_long(model, seed + 1, len(asked)))
        self._streamed = [dice.chance(0.5) for _ in asked]
        self._disturbed = [dice.chance(LEAVERS) for _ in asked]
        self._order = iter(dice.some(len(asked), len(asked)))  # one for all callers
        self._replies = [b""] * len(asked)
        self._left = 0

    async def serve(self, address: str) -> None:
        """Get every reply."""
        async with _connection(address) as channel, asyncio.TaskGroup() as callers:
            for _ in range(CALLERS):
                callers.create_task(self._call(channel))

    def trial(self, alone: Sequence[bytes]) -> Trial:
        """Compare the replies with those to the same requests alone."""
        pairs = zip(self._asked, self._replies, alone, strict=True)
        differing = [asked for asked, here, there in pairs if here != there]
        return Trial(self._model, len(self._replies), self._left, differing)

    async def _call(self, channel: grpc.aio.Channel) -> None:
        for place in self._order:
            async with self._disturbance(channel, place):
                self._replies[place] = await reply(channel, self._asked[place], streamed=self._streamed[place])

    @asynccontextmanager
    async def _disturbance(self, channel: grpc.aio.Channel, place: int) -> AsyncIterator[None]:
        """Somebody who begins with the request and leaves when it ends."""
        if not self._disturbed[place]:
            yield
            return
        leaver = asyncio.create_task(reply(channel, self._leavers[place], streamed=True))
        yield
        leaver.cancel()
        await asyncio.wait([leaver])
        self._left += leaver.cancelled()


def _long(model: Model, seed: int, count: int) -> Iterator[Asked]:
    for asked in requests(model, seed, count):
        if isinstance(asked, TextGeneration):
            asked.stopping.max_tokens = LONG
            asked.stopping.ClearField("stop_sequences")
        elif isinstance(asked, ImageGeneration):
            asked.count, asked.seed = LONG, seed
            if asked.HasField("keep_best"):
                asked.keep_best.drawn = asked.first_index + LONG
        elif isinstance(asked, ScoreImagesRequest):
            asked.images.extend([asked.images[0]] * (MOST_JUDGED - len(asked.images)))
        elif isinstance(asked, InterpolateImagesRequest):
            asked.frames_per_segment = LONG
        elif isinstance(asked, TransformImagesRequest):
            asked.images.extend([asked.images[0]] * MANY)
        yield asked

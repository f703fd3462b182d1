"""rhapsode.v1.TextService."""

import asyncio
from functools import partial

from rhapsode.v1 import text_pb2
from rhapsode_server.config import Config
from rhapsode_server.engine.outbox import Outbox, Pace
from rhapsode_server.errors import Unsupported
from rhapsode_server.models.row import TextRow
from rhapsode_server.models.text import TextEvent
from rhapsode_server.observe.logs import note
from rhapsode_server.rpc import convert_score
from rhapsode_server.rpc.call import Call
from rhapsode_server.rpc.catalog import Catalog, Served
from rhapsode_server.rpc.convert_score import ScoreJob
from rhapsode_server.rpc.convert_text import TextJob, check_fits, text_job
from rhapsode_server.rpc.convert_tokens import TokenizeReply
from rhapsode_server.rpc.deadlines import deadline
from rhapsode_server.rpc.reading import read
from rhapsode_server.rpc.routes import Service, service
from rhapsode_server.rpc.score_reply import ScoreReply
from rhapsode_server.rpc.text_reply import TextReply, gather

GATHERING = Pace(
    flush_items=Pace().bound // 4, flush_interval=1.0
)  # a unary reply is one message however often we look


class TextService:
    """Generates text, sent as it comes or gathered; scores it; cuts it into tokens."""

    def __init__(self, catalog: Catalog, config: Config) -> None:
        self._catalog = catalog
        self._config = config
        self._pace = Pace(config.flush_tokens, config.flush_interval_ms / 1000)

    def service(self) -> Service:
        """What to register."""
        return service(text_pb2.DESCRIPTOR.services_by_name["TextService"], self)

    async def GenerateText(self, request: text_pb2.GenerateTextRequest, call: Call) -> text_pb2.GenerateTextResponse:
        """Generate, and answer when all is done."""
        served = self._find(request.generation.model)
        job = await self._job(request.generation, served)
        check_fits(job, served, self._config)
        reply = TextReply(job, served.loaded)
        async with self._submit(job, call, GATHERING) as outbox:
            messages = [message async for news in outbox for message in reply.messages(news, outbox.timings)]
        _note(reply.generated, outbox)
        return gather(messages, job)

    async def StreamText(self, request: text_pb2.StreamTextRequest, call: Call) -> None:
        """Generate, and write tokens as they come."""
        served = self._find(request.generation.model)
        job = await self._job(request.generation, served)
        reply = TextReply(job, served.loaded)
        async with self._submit(job, call, self._pace) as outbox:
            async for news in outbox:
                for message in reply.messages(news, outbox.timings):
                    await call.write(message)
        _note(reply.generated, outbox)

    async def ScoreText(self, request: text_pb2.ScoreTextRequest, call: Call) -> text_pb2.ScoreTextResponse:
        """Say how likely texts are, when all are scored."""
        served = self._find(request.model)
        job = await self._read(request, served)
        reply = ScoreReply(job, served.loaded)
        async with self._submit(job, call, GATHERING) as outbox:
            async for news in outbox:
                reply.take(news)
        _note(reply.scored, outbox)
        return reply.message()

    async def ClassifyText(self, request: text_pb2.ClassifyTextRequest, _: Call) -> text_pb2.ClassifyTextResponse:
        """Say of which class texts are."""
        served = self._find(request.model)
        raise Unsupported(f"{served.loaded.bundle.name} is no critic of texts")

    async def TokenizeText(self, request: text_pb2.TokenizeTextRequest, _: Call) -> text_pb2.TokenizeTextResponse:
        """Cut texts into tokens, or put tokens together."""
        served = self._find(request.model)
        reply = TokenizeReply(served, self._config)
        for place, given in enumerate(request.inputs):
            await read(len(given.text), partial(reply.take, given, f"inputs[{place}]"))
            await asyncio.sleep(0)
        note(items=reply.tokens)
        return reply.message

    async def _job(self, asked: text_pb2.TextGeneration, served: Served) -> TextJob:
        return await read(len(asked.text), partial(text_job, asked, served, self._config))

    async def _read(self, request: text_pb2.ScoreTextRequest, served: Served) -> ScoreJob:
        """Each text in a turn of its own: all together could hold up the event loop for a good part of a second."""
        convert_score.check_fits(request, served, self._config)
        tokens: list[tuple[int, ...]] = []
        for place, given in enumerate(request.inputs):
            reading = partial(convert_score.scored_tokens, given, f"inputs[{place}]", served, self._config)
            tokens.append(await read(len(given.text), reading))
            await asyncio.sleep(0)
        return convert_score.score_job(request, tokens, served, self._config)

    def _find(self, reference: str) -> Served:
        served = self._catalog.find(reference)
        note(model=served.loaded.bundle.name)
        return served

    def _submit(self, job: TextJob | ScoreJob, call: Call, pace: Pace) -> Outbox[TextRow, TextEvent]:
        return job.driver.submit(job.rows, deadline(call, self._config), pace)


def _note(items: int, outbox: Outbox[TextRow, TextEvent]) -> None:
    queued = outbox.timings().queue_seconds or 0.0
    note(items=items, queue_ms=round(queued * 1000, 3))

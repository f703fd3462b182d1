"""rhapsode.v1.TextService."""

import asyncio
from collections.abc import Iterator
from functools import partial

from rhapsode.v1 import text_pb2
from rhapsode_server.config import Config
from rhapsode_server.engine.outbox import Outbox, Pace
from rhapsode_server.models.row import TextRow
from rhapsode_server.models.text import TextEvent
from rhapsode_server.observe.logs import note
from rhapsode_server.observe.metrics import Metrics
from rhapsode_server.rpc import classification, convert_score
from rhapsode_server.rpc.call import Call
from rhapsode_server.rpc.catalog import Catalog
from rhapsode_server.rpc.convert_score import Scored, ScoreJob
from rhapsode_server.rpc.convert_text import TextJob, check_fits, check_room, text_job
from rhapsode_server.rpc.convert_tokens import TokenizeReply
from rhapsode_server.rpc.deadlines import deadline
from rhapsode_server.rpc.gathering import GATHERING, gathered
from rhapsode_server.rpc.reading import Reading
from rhapsode_server.rpc.routes import Service, service
from rhapsode_server.rpc.score_reply import ScoreReply
from rhapsode_server.rpc.served import Served
from rhapsode_server.rpc.text_contest import Harvest, best_messages, contest
from rhapsode_server.rpc.text_reply import TextReply, gather

PACKED_BYTES = 65_536  # of a message of what was kept until the end


class TextService:
    """Generates text, sent as it comes or gathered; judges it; cuts it into tokens."""

    def __init__(self, catalog: Catalog, config: Config, metrics: Metrics) -> None:
        self._catalog = catalog
        self._config = config
        self._reading = Reading(metrics)
        self._pace = Pace(config.flush_tokens, config.flush_interval_ms / 1000)
        self._packed_bytes = min(PACKED_BYTES, config.message_bytes // 4)

    def service(self) -> Service:
        """What to register."""
        return service(text_pb2.DESCRIPTOR.services_by_name["TextService"], self)

    async def GenerateText(self, request: text_pb2.GenerateTextRequest, call: Call) -> text_pb2.GenerateTextResponse:
        """Generate, and answer when all is done."""
        served = self._find(request.generation.model)
        job = await self._job(request.generation, served)
        check_fits(job, served, self._config)
        if request.generation.HasField("keep_best"):
            return gather([*await self._best(request.generation, job, served, call)], job)
        reply = TextReply(job, served.loaded)
        async with self._submit(job, call, GATHERING) as outbox:
            messages = [message async for news in outbox for message in reply.messages(news, outbox.timings)]
        note(items=reply.generated)
        return gather(messages, job)

    async def StreamText(self, request: text_pb2.StreamTextRequest, call: Call) -> None:
        """Generate, and write tokens as they come."""
        served = self._find(request.generation.model)
        job = await self._job(request.generation, served)
        if request.generation.HasField("keep_best"):
            for message in await self._best(request.generation, job, served, call):
                await call.write(message)
            return
        reply = TextReply(job, served.loaded)
        try:
            async with self._submit(job, call, self._pace) as outbox:
                async for news in outbox:
                    for message in reply.messages(news, outbox.timings):
                        await call.write(message)
        finally:
            note(items=reply.generated)

    async def ScoreText(self, request: text_pb2.ScoreTextRequest, call: Call) -> text_pb2.ScoreTextResponse:
        """Say how likely texts are, when all are scored."""
        served = self._find(request.model)
        job = await self._read(request, served)
        reply = ScoreReply(job, served.loaded)
        async with self._submit(job, call, GATHERING) as outbox:
            async for news in outbox:
                reply.take(news)
        note(items=reply.scored)
        return reply.message()

    async def ClassifyText(self, request: text_pb2.ClassifyTextRequest, call: Call) -> text_pb2.ClassifyTextResponse:
        """Say of which class texts are."""
        served = self._find(request.model)
        classification.check_fits(request, served, self._config)
        until = deadline(call, self._config)
        rows = await classification.classified_rows(request, served, self._reading)
        judged = await gathered(classification.text_critic(served), rows, until)
        note(items=len(judged))
        return classification.classification_reply(rows, judged, served)

    async def TokenizeText(self, request: text_pb2.TokenizeTextRequest, _: Call) -> text_pb2.TokenizeTextResponse:
        """Cut texts into tokens, or put tokens together."""
        served = self._find(request.model)
        reply = TokenizeReply(served, self._config)
        for place, given in enumerate(request.inputs):
            await self._reading.read(
                len(given.text), served.loaded.name, partial(reply.take, given, f"inputs[{place}]")
            )
            await asyncio.sleep(0)
        note(items=reply.tokens)
        return reply.message

    async def _job(self, asked: text_pb2.TextGeneration, served: Served) -> TextJob:
        check_room(asked, served, self._config)
        return await self._reading.read(
            len(asked.text), served.loaded.name, partial(text_job, asked, served, self._config)
        )

    async def _best(
        self, asked: text_pb2.TextGeneration, job: TextJob, served: Served, call: Call
    ) -> Iterator[text_pb2.StreamTextResponse]:
        """The messages of the best candidates, when all have ended."""
        held = contest(asked, job, served.loaded, self._catalog)
        until = deadline(call, self._config)
        harvest = Harvest(held.drawn, served.loaded, told=job.spec.logprobs is not None)
        async with held.drawn.driver.submit(held.drawn.rows, until, GATHERING) as outbox:
            async for news in outbox:
                harvest.take(news, outbox.timings)
        note(items=harvest.generated)
        scores = await held.scores(harvest.candidates, until)
        return best_messages(job, served.loaded, harvest.candidates, scores, self._packed_bytes)

    async def _read(self, request: text_pb2.ScoreTextRequest, served: Served) -> ScoreJob:
        """Each text in a turn of its own: all together could hold up the event loop for a good part of a second."""
        convert_score.check_fits(request, served, self._config)
        inputs: list[Scored] = []
        for place, given in enumerate(request.inputs):
            reading = partial(convert_score.scored, given, f"inputs[{place}]", served, self._config)
            inputs.append(await self._reading.read(len(given.text), served.loaded.name, reading))
            await asyncio.sleep(0)
        return convert_score.score_job(request, inputs, served, self._config)

    def _find(self, reference: str) -> Served:
        served = self._catalog.find(reference)
        note(model=served.loaded.name, model_version=served.loaded.version)
        return served

    def _submit(self, job: TextJob | ScoreJob, call: Call, pace: Pace) -> Outbox[TextRow, TextEvent]:
        return job.driver.submit(job.rows, deadline(call, self._config), pace)

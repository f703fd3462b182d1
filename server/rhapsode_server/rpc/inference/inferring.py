"""Has one request run: read, submitted to its graph's lane, answered, counted."""

import time
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass

from rhapsode.oip.inference_pb2 import ModelInferRequest, ModelInferResponse
from rhapsode_server.config import Config
from rhapsode_server.errors import InvalidField
from rhapsode_server.models.tensors import TensorRow, Tensors
from rhapsode_server.observe.logs import note
from rhapsode_server.rpc.call import Call
from rhapsode_server.rpc.deadlines import deadline, deadline_on_stream
from rhapsode_server.rpc.gathering import GATHERING
from rhapsode_server.rpc.inference.graphs import TensorSpec
from rhapsode_server.rpc.inference.models import Found, Models
from rhapsode_server.rpc.inference.parameters import wishes
from rhapsode_server.rpc.inference.reply import check_fits, fill, reply_bytes, wanted_outputs
from rhapsode_server.rpc.inference.request import read_rows
from rhapsode_server.rpc.inference.statistics import Spent, Statistics

LONGEST_ID = 1024  # bytes
Place = AbstractAsyncContextManager[None]
"""What a request needs to have before it goes to its lane."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A request that can be run; it holds no message."""

    found: Found
    id: str
    rows: Sequence[TensorRow]
    outputs: Sequence[TensorSpec]
    raw: bool
    reply_bytes: int
    """At the most."""
    until: float
    """A monotonic time."""
    began: float
    read: float


class Inferring:
    """Shared by all requests."""

    def __init__(self, models: Models, config: Config, statistics: Statistics) -> None:
        self._models = models
        self._config = config
        self._statistics = statistics

    def plan(self, asked: ModelInferRequest, call: Call) -> Plan:
        """Read a request. Raises RequestError where the model cannot be run on it."""
        began = time.perf_counter()
        found = self._models.find(asked.model_name, asked.model_version, "model_name", "model_version")
        note(model=found.served.loaded.name, model_version=found.served.loaded.version)
        try:
            return self._plan(asked, found, call, began)
        except InvalidField:
            self._statistics.failed(found, time.perf_counter() - began)
            raise

    async def run(self, plan: Plan, message: ModelInferResponse, place: Place | None = None) -> None:
        """Have a request run, and write what comes of it into its reply."""
        came = submitted = time.perf_counter()
        try:
            async with place or nullcontext():
                submitted = time.perf_counter()
                made, queue = await _run(plan)
        except BaseException:  # cancelled ones too
            self._statistics.failed(plan.found, time.perf_counter() - plan.began)
            raise
        ran = time.perf_counter()
        message.id = plan.id
        fill(message, plan.found, plan.outputs, made, raw=plan.raw)
        waited = submitted - came + queue
        spent = Spent(plan.read - plan.began, waited, ran - came - waited, time.perf_counter() - ran)
        self._statistics.succeeded(plan.found, spent)
        note(items=len(made))

    def _plan(self, asked: ModelInferRequest, found: Found, call: Call, began: float) -> Plan:
        id_bytes = len(asked.id.encode())
        if id_bytes > LONGEST_ID:
            raise InvalidField("id", f"must have at most {LONGEST_ID} bytes", {"max_length": str(LONGEST_ID)})
        wished = wishes(asked)
        until = _until(call, self._config, wished.timeout)
        rows = read_rows(asked, found.graph, self._config.max_batch)
        outputs, raw = wanted_outputs(asked, found.graph), len(asked.raw_input_contents) > 0
        size = reply_bytes(outputs, len(rows), raw=raw, id_bytes=id_bytes)
        check_fits(size, self._config.message_bytes)
        return Plan(found, asked.id, rows, outputs, raw, size, until, began, time.perf_counter())


def _until(call: Call, config: Config, wish: float | None) -> float:
    if call.turns is not None:
        return deadline_on_stream(call, config, wish)
    until = deadline(call, config)
    return until if wish is None else min(until, time.monotonic() + wish)


async def _run(plan: Plan) -> tuple[list[Tensors], float]:
    """What came of each row, and the seconds in the lane's queue."""
    made: list[Tensors] = []
    async with plan.found.driver.submit(plan.rows, plan.until, GATHERING) as outbox:
        async for news in outbox:
            made += (event for delivery in news for event in delivery.events)
        return made, outbox.timings().queue_seconds or 0.0

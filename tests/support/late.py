"""Finds work that is done although its deadline has passed while it waited: there must be none."""

import asyncio
from collections import Counter
from collections.abc import Iterator

import grpc
from prometheus_client.parser import text_string_to_metric_families

from rhapsode.v1 import text_pb2
from support.refusals import refusal
from support.requests import beside_a_text, generate_text, text
from support.server import Running

EXPIRED = "DEADLINE_EXPIRED"
LATE = "DEADLINE_TOO_SHORT"  # of those that a slow machine lets come when little of their time is left
PAST = 1.0  # seconds, in which the server's default deadline has to pass


async def done_in_vain(server: Running, count: int = 100) -> list[str]:
    """Have so many requests wait for a server's only slot until their deadlines, and free it: what is wrong then."""
    async with beside_a_text(server):
        # They name no deadline, so they get the server's.
        waiting = {asyncio.ensure_future(generate_text(server, text(3))) for _ in range(count)}
        left = set(waiting)
        while left and await _counted(server, "rhapsode_queue_depth") < len(left):
            left = {each for each in left if not each.done()}
        if left:
            await asyncio.wait(left, timeout=PAST)
    ended = await asyncio.gather(*waiting, return_exceptions=True)
    return list(_wrong(Counter(map(_outcome, ended)), await _runs(server), await _expired(server)))


def _wrong(outcomes: "Counter[str]", runs: int, expired: int) -> Iterator[str]:
    for outcome, count in outcomes.items():
        if outcome not in (EXPIRED, LATE):
            yield f"{count} ended with {outcome}"
    if runs != 1:
        yield f"{runs - 1} were run"
    if expired != outcomes.total() - outcomes[LATE]:
        yield f"{expired} were counted as expired in the queue"


def _outcome(ended: text_pb2.GenerateTextResponse | BaseException) -> str:
    if isinstance(ended, grpc.RpcError):
        return refusal(ended).info.reason
    return type(ended).__name__ if isinstance(ended, BaseException) else "OK"


async def _runs(server: Running) -> int:
    return await _counted(server, "rhapsode_queue_wait_seconds_count")


async def _expired(server: Running) -> int:
    return await _counted(server, "rhapsode_expired_in_queue_total")


async def _counted(server: Running, name: str) -> int:
    families = text_string_to_metric_families(await server.page())
    return round(sum(sample.value for family in families for sample in family.samples if sample.name == name))

"""Work whose events are all gathered before anything is sent."""

from collections.abc import Sequence
from typing import TypeVar

from rhapsode_server.engine.driver import Driver
from rhapsode_server.engine.outbox import Pace

RowT = TypeVar("RowT")
EventT = TypeVar("EventT")

# A unary reply is one message however often we look.
GATHERING = Pace(flush_items=Pace().bound // 4, flush_interval=1.0, whole=True)


async def gathered(driver: Driver[RowT, EventT], rows: Sequence[RowT], until: float) -> list[EventT]:
    """Have rows of one step done by `until`, a monotonic time: what came of each, in order. No rows are no work."""
    events: list[EventT] = []
    if not rows:
        return events
    async with driver.submit(rows, until, GATHERING) as outbox:
        async for news in outbox:
            events += (event for delivery in news for event in delivery.events)
    return events

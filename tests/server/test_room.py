"""What a driver says before a request is read, and what it does not work out for nobody."""

from collections.abc import Sequence

import pytest
from prometheus_client import CollectorRegistry

from rhapsode_server.engine.breaker import Breaker
from rhapsode_server.engine.driver import Driver
from rhapsode_server.engine.outbox import Pace
from rhapsode_server.engine.scheduler import Limits
from rhapsode_server.errors import DeviceLost, ModelUnhealthy, QueueFull, RhapsodeError, ShuttingDown
from rhapsode_server.models.base import OneRun, Outcome
from rhapsode_server.observe.lanes import LaneMetrics, Lanes


class Still(OneRun):
    """A model that is never run."""

    max_batch = 1

    def advance(self, rows: Sequence[int]) -> Sequence[Outcome[int]]:
        raise NotImplementedError


class Stand:
    """A driver that has not begun, and whose lane is full."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.breaker = Breaker(1, 5.0)
        lane = LaneMetrics(Lanes(self.registry), "still", 1, "decode", 1)
        limits = Limits(slots=1, queue=1)
        self.driver: Driver[int, int] = Driver("still@1", Still(), limits, lane, lambda: 0.0, breaker=self.breaker)
        self.outboxes = [self.driver.submit([row], None, Pace()) for row in range(2)]

    def sample(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(name, {"model": "still"} | labels)


def refused(stand: Stand, error: type[RhapsodeError]) -> bool:
    """Whether it says so, and counts it as what it says."""
    reason = error.reason.lower()
    before = stand.sample("rhapsode_requests_rejected_total", reason=reason) or 0.0
    with pytest.raises(error):
        stand.driver.check_room(1, 1)
    return stand.sample("rhapsode_requests_rejected_total", reason=reason) == before + 1


async def test_it_names_the_reason_for_which_it_would_refuse() -> None:
    stand = Stand()
    assert refused(stand, QueueFull)
    stand.breaker.failed(0.0)
    assert refused(stand, ModelUnhealthy)
    stand.breaker.condemn(DeviceLost("gone"))
    assert refused(stand, DeviceLost)
    await stand.driver.stop()
    assert refused(stand, ShuttingDown)


def test_what_is_to_be_expected_is_worked_out_when_somebody_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    stand = Stand()
    asked: list[float] = []

    def expected_wait(now: float) -> float:
        asked.append(now)
        return 7.0

    monkeypatch.setattr(stand.driver._scheduler, "expected_wait", expected_wait)
    for outbox in stand.outboxes:
        stand.driver.leave(outbox._job, told=False)
    assert asked == []
    lane = {"version": "1", "role": "decode"}
    assert stand.sample("rhapsode_expected_wait_seconds", **lane) == 7.0
    assert asked == [0.0]

"""How a model is, as its runs tell: judged in the thread that drives it, told in the event loop."""

import asyncio
from collections.abc import Callable

from rhapsode_server.engine.breaker import Breaker
from rhapsode_server.errors import DeviceLost, RhapsodeError

Mood = Callable[[RhapsodeError | None], None]
"""Told, in the event loop, why a model cannot serve now; None where it can again."""
Call = Callable[[Mood, RhapsodeError | None], None]
"""Does something with an error in the event loop, from any thread."""


class Condition:
    """Of one model. `breaker` is guarded by whoever guards the model's jobs."""

    def __init__(self, breaker: Breaker, mood: Mood, failed: Callable[[str], None], call: Call) -> None:
        self.breaker = breaker
        self._mood = mood
        self._failed = failed
        self._call = call
        self._over = False
        self._well_again: asyncio.TimerHandle | None = None

    def judge(self, error: RhapsodeError | None, now: float) -> None:
        """Draw the consequences of a run for those to come."""
        if error is None:
            if self.breaker.succeeded():
                self._call(self._feel, None)
            return
        self._failed(error.reason)
        if isinstance(error, DeviceLost):
            self.breaker.condemn(error)
            self._call(self._feel, error)
        elif self.breaker.failed(now):
            self._call(self._feel, self.breaker.verdict())

    def tell(self, error: RhapsodeError) -> None:
        """Tell, in the event loop, of what is no run's fault."""
        self._mood(error)

    def close(self) -> None:
        """Tell of nothing that would come later."""
        self._over = True
        self._expect_nothing()

    def forget(self) -> None:
        """Let go of whom it would tell; to be called when nothing is run any more."""
        self._call, self._mood = _tell_nobody, _tell_nobody

    def _feel(self, error: RhapsodeError | None) -> None:
        """Tell how the model is; one that has failed is worth a try after a pause, so it is then told to be well."""
        self._expect_nothing()
        self._mood(error)
        if error is not None and not isinstance(error, DeviceLost) and not self._over:
            self._well_again = asyncio.get_running_loop().call_later(self.breaker.pause, self._feel, None)

    def _expect_nothing(self) -> None:
        if self._well_again is not None:
            self._well_again.cancel()
            self._well_again = None


def _tell_nobody(*_: object) -> None:
    """Stand for those who are not told any more."""

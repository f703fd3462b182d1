"""Whether a model that has failed is asked again.

Rules, each with a test of its own:

1. So many failed runs with none between them that went well open the breaker: new work is refused.
2. After a pause one job is let through, and another one a pause after it was accepted, until a run goes well: that
   closes it. A job that is refused for another reason was no try.
3. A run that fails while it is open begins the pause anew.
4. What is condemned stays so.

Plain values: no clock (time is passed in), no threads.
"""

from rhapsode_server.errors import ModelUnhealthy, RhapsodeError

FAILURES = 5
PAUSE = 5.0


class Breaker:
    """Refuses the work of one graph of a model while its runs fail."""

    def __init__(self, failures: int = FAILURES, pause: float = PAUSE) -> None:
        self.pause = pause
        self._limit = failures
        self._failures = 0
        self._open_until: float | None = None
        self._fate: RhapsodeError | None = None

    @property
    def open(self) -> bool:
        """Whether the last runs have failed, and no run went well since."""
        return self._open_until is not None

    def check(self, now: float) -> None:
        """Let a job through, or raise ModelUnhealthy, or what the model is condemned for."""
        if self._fate is not None:
            raise type(self._fate)(self._fate.message, self._fate.metadata)
        if self._open_until is not None and now < self._open_until:
            raise self.verdict()

    def accepted(self, now: float) -> None:
        """The job that was let through will be run."""
        if self._open_until is not None:
            self._open_until = now + self.pause

    def verdict(self) -> ModelUnhealthy:
        """Why it refuses."""
        return ModelUnhealthy(f"the last {self._failures} runs of the model failed", {"failures": str(self._failures)})

    def failed(self, now: float) -> bool:
        """A run has failed: whether the breaker is open."""
        self._failures += 1
        if self._failures >= self._limit:
            self._open_until = now + self.pause
        return self.open

    def succeeded(self) -> bool:
        """A run went well: whether the breaker was open."""
        was_open = self.open
        self._failures, self._open_until = 0, None
        return was_open

    def condemn(self, error: RhapsodeError) -> None:
        """Refuse everything from now on, with this error."""
        self._fate = self._fate or error

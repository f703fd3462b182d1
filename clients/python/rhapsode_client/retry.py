"""When a request may be sent again, and after how long."""

from collections.abc import Callable
from dataclasses import dataclass

from rhapsode_client.errors import RhapsodeError


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Attempts at one request in all, and the waits between them in seconds.

    One attempt means no retry; of a unary call gRPC makes at most 5.
    """

    attempts: int = 5
    initial_backoff: float = 0.1
    max_backoff: float = 2.0
    multiplier: float = 2.0

    def backoff(self, failures: int) -> float:
        """Seconds to wait after so many failures, at least 1, before jitter."""
        return min(self.initial_backoff * self.multiplier ** (failures - 1), self.max_backoff)


class Attempts:
    """Counts the attempts at one stream against a deadline on a monotonic clock and against two policies: `retry` until
    the stream has begun, `resume` from then on.
    """

    def __init__(
        self, retry: RetryPolicy, resume: RetryPolicy, deadline: float | None, jitter: Callable[[], float]
    ) -> None:
        self._retry = retry
        self._resume = resume
        self._deadline = deadline
        self._jitter = jitter
        self._failures = 0

    def remaining(self, now: float) -> float | None:
        """Seconds left until the deadline; None where there is none."""
        return None if self._deadline is None else max(self._deadline - now, 0.0)

    def delay_after(self, error: RhapsodeError, now: float, *, begun: bool) -> float:
        """Seconds to wait before the next attempt: the server's word, else exponential backoff times 0.8 to 1.2.

        Raises `error` itself where another attempt is of no use, one too many, or past the deadline.
        """
        self._failures += 1
        policy = self._resume if begun else self._retry
        delay = error.retry_delay
        if delay is None:
            delay = policy.backoff(self._failures) * (0.8 + 0.4 * self._jitter())
        too_late = self._deadline is not None and now + delay >= self._deadline
        if not error.retryable or self._failures >= policy.attempts or too_late:
            raise error
        return delay

"""When a request may be sent again, and after how long."""

from collections.abc import Callable
from dataclasses import dataclass

from rhapsode_client.errors import QuotaExceeded, RhapsodeError

LONGEST_WAIT = 10.0  # seconds for a share of one's own to come back; a caller wants to know of longer ones


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Attempts at one request, and the waits between them in seconds.

    `attempts` is how many in a row may bring nothing new. One means no retry; of a unary call gRPC makes at most 5. A
    stream that brings something new begins to count anew, waits included, but no more than `renewals` times: a request
    at which servers die is not carried from one to the next for ever.
    """

    attempts: int = 5
    initial_backoff: float = 0.1
    max_backoff: float = 2.0
    multiplier: float = 2.0
    renewals: int = 30

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
        self._renewals = 0
        self._progressed = False

    def progressed(self) -> None:
        """Something new has come since the last failure."""
        self._progressed = True

    def remaining(self, now: float) -> float | None:
        """Seconds left until the deadline; None where there is none."""
        return None if self._deadline is None else max(self._deadline - now, 0.0)

    def delay_after(self, error: RhapsodeError, now: float, *, begun: bool) -> float:
        """Seconds to wait before the next attempt: the server's word, else exponential backoff times 0.8 to 1.2.

        Raises `error` itself where another attempt is of no use, one too many, past the deadline, or too far away.
        """
        policy = self._resume if begun else self._retry
        self._count_failure(policy)
        delay = error.retry_delay
        if delay is None:
            delay = policy.backoff(self._failures) * (0.8 + 0.4 * self._jitter())
        elif isinstance(error, QuotaExceeded):  # which the other threads of this client hear too
            delay *= 1 + 0.2 * self._jitter()
        too_late = self._deadline is not None and now + delay >= self._deadline
        too_late |= isinstance(error, QuotaExceeded) and delay > LONGEST_WAIT
        if not error.retryable or self._failures >= policy.attempts or too_late:
            raise error
        return delay

    def _count_failure(self, policy: RetryPolicy) -> None:
        if self._progressed and self._failures and self._renewals < policy.renewals:
            self._failures = 0
            self._renewals += 1
        self._progressed = False
        self._failures += 1

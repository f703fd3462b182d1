"""Until when a request may be worked on."""

import time

from rhapsode_server.config import Config
from rhapsode_server.rpc.call import Call


def deadline(call: Call, config: Config) -> float:
    """When an rpc must be done, on time.monotonic(): at the client's wish, but no later than the server's cap."""
    return time.monotonic() + allowance(call.time_remaining(), config.default_deadline, config.maximum_deadline)


def deadline_on_stream(call: Call, config: Config, wish: float | None) -> float:
    """The same for one request of a stream: by its own wish, and no later than the stream must be done."""
    own, left = allowance(wish, config.default_deadline, config.maximum_deadline), call.time_remaining()
    return time.monotonic() + (own if left is None else min(own, left))


def allowance(wish: float | None, default: float, maximum: float) -> float:
    """Seconds that a request gets: what it asks for, or the default, and never more than the maximum."""
    return min(default if wish is None else wish, maximum)

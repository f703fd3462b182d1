"""Until when a request may be worked on."""

import time

from rhapsode_server.config import Config
from rhapsode_server.rpc.call import Call


def deadline(call: Call, config: Config) -> float:
    """When an rpc must be done, on time.monotonic(): at the client's wish, but no later than the server's cap."""
    return time.monotonic() + allowance(call.time_remaining(), config.default_deadline, config.maximum_deadline)


def allowance(wish: float | None, default: float, maximum: float) -> float:
    """Seconds that a request gets: what it asks for, or the default, and never more than the maximum."""
    return min(default if wish is None else wish, maximum)

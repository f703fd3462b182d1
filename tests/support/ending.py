"""How long a server may take to end, as the documents say."""

from rhapsode_server.config import Config

LAST = 15  # seconds after the grace: last statuses 2, last spans 4, threads that will not end 5, and something to spare


def longest_stop(settings: Config) -> float:
    """Seconds from the first signal after which a server may be killed."""
    return settings.drain_delay + settings.grace + LAST

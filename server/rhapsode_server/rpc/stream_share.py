"""The requests of one stream among those of its client: the stream itself counts as the first of them under way."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rhapsode_server.rpc.quotas import Quotas, Share


class StreamShare:
    """Of a client that has a stream open, which was counted as a request when it came."""

    def __init__(self, client: str, share: Share, quotas: Quotas, clock: Callable[[], float]) -> None:
        self._client = client
        self._share = share
        self._quotas = quotas
        self._clock = clock
        self._paid = True  # as it was opened
        self._lent = False

    @contextmanager
    def request(self) -> Iterator[None]:
        """Have a request count while the block lasts. Raises QuotaError."""
        own = not self._lent
        if not own:
            self._quotas.begin(self._client, self._share, self._clock())
        elif not self._paid:
            self._quotas.spend(self._client, self._share, self._clock())
        self._paid, self._lent = False, True
        try:
            yield
        finally:
            if own:
                self._lent = False
            else:
                self._quotas.end(self._client, self._clock())

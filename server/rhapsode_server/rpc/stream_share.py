"""The requests of one stream among those of its client: the stream itself counts as the first of them under way."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rhapsode_server.rpc.quotas import Quotas, Share


class StreamShare:
    """Of a client that has a stream open; `counted` says whether that was counted as a request when it came.

    `again` says what the client may have now, or raises AccessError where it may not call any more.
    """

    def __init__(
        self, client: str, again: Callable[[], Share], quotas: Quotas, clock: Callable[[], float], *, counted: bool
    ) -> None:
        self._client = client
        self._again = again
        self._quotas = quotas
        self._clock = clock
        self._paid = True  # as it was opened
        self._lent = not counted

    @contextmanager
    def request(self) -> Iterator[None]:
        """Have a request be its client's while the block lasts, and count. Raises QuotaError or AccessError."""
        share, own = self._again(), not self._lent
        if own and not self._paid:
            self._quotas.spend(self._client, share, self._clock())
        more = not own and share.limited
        if more:
            self._quotas.begin(self._client, share, self._clock())
        if own:
            self._paid, self._lent = False, True
        try:
            yield
        finally:
            if own:
                self._lent = False
            if more:
                self._quotas.end(self._client, self._clock())

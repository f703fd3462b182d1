"""Those who are told of every change of the models, each at the pace at which it reads."""

import asyncio
from dataclasses import dataclass, field

from rhapsode.v1.model_pb2 import WatchModelsResponse
from rhapsode_server.errors import ShuttingDown, TooManyWatches
from rhapsode_server.repository.residents import Key
from rhapsode_server.rpc.call import Call
from rhapsode_server.rpc.caller import may_use
from rhapsode_server.rpc.catalog import Catalog
from rhapsode_server.rpc.convert_models import status_message

MOST_WATCHES = 64


@dataclass(frozen=True, slots=True, eq=False)
class _Watch:
    """What one of them has not been told yet: the versions only, so what it is told is how they stand then."""

    changed: set[Key]
    news: asyncio.Event = field(default_factory=asyncio.Event)


class ModelWatches:
    """A watch that reads slowly holds up nobody, and holds no more than the keys of all versions."""

    def __init__(self, catalog: Catalog, most: int = MOST_WATCHES) -> None:
        self._residents = catalog.residents
        self._most = most
        self._watches: set[_Watch] = set()
        self._closed = False
        catalog.listen(self._changed)

    def close(self) -> None:
        """End all watches."""
        self._closed = True
        for watch in self._watches:
            watch.news.set()

    async def tell(self, call: Call) -> None:
        """Write how all versions stand that the client may see, then those that change.

        Raises TooManyWatches at once, ShuttingDown at the end.
        """
        if len(self._watches) >= self._most:
            message = f"{self._most} watches of models are open, as many as may be"
            raise TooManyWatches(message, {"limit": str(self._most)})
        watch = _Watch({(each.name, each.version) for each in self._residents.statuses})
        self._watches.add(watch)
        try:
            await call.write(self._news(watch))
            while not self._closed:
                await watch.news.wait()
                watch.news.clear()
                if (news := self._news(watch)).statuses:
                    await call.write(news)
        finally:
            self._watches.remove(watch)
        raise ShuttingDown("the server is about to stop")

    def _news(self, watch: _Watch) -> WatchModelsResponse:
        """How those stand now of which the watch has not been told."""
        keys = sorted(key for key in watch.changed if may_use(key[0]))
        watch.changed.clear()
        residents = self._residents
        return WatchModelsResponse(
            statuses=(status_message(residents.status(key), residents.names_of(key)) for key in keys)
        )

    def _changed(self, key: Key) -> None:
        for watch in self._watches:
            watch.changed.add(key)
            watch.news.set()

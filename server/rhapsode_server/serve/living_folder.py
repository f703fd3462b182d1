"""The folder of models as a server watches it: begun once it serves, closed before it stops."""

import asyncio
from typing import TypeVar

from rhapsode_server.config import Config
from rhapsode_server.errors import RepositoryFull
from rhapsode_server.observe.logs import Log
from rhapsode_server.repository.registry import Registry
from rhapsode_server.repository.resident import Resident
from rhapsode_server.repository.residents import Key, Residents
from rhapsode_server.repository.sights import Sight
from rhapsode_server.serve.model_watch import Control, ModelWatch
from rhapsode_server.serve.notices import Notices
from rhapsode_server.serve.steward import Begun, Steward

ResidentT = TypeVar("ResidentT", bound=Resident)


class LivingFolder:
    """Lives in the event loop. Does nothing where the settings ask for no watch."""

    def __init__(
        self, config: Config, began: Registry, residents: Residents[ResidentT], control: Control, log: Log
    ) -> None:
        self._config = config
        self._steward = Steward(residents, config.versions, log, begun(began))
        if config.watch:
            control.put_away = self._steward.put_away
        self._control = control
        self._log = log
        self._notices: Notices | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to watch."""
        if not self._config.watch:
            return
        models, log = self._config.models, self._log
        self._notices = Notices(models, lambda why: log.warning("models folder without notices", reason=why))
        watch = ModelWatch(models, self._steward, self._control, log, self._notices.wait)
        self._notices.start()
        self._task = asyncio.create_task(watch.run())

    async def close(self) -> None:
        """Watch no more; what was commanded goes on."""
        if self._notices and self._task:
            self._notices.close()
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)


def begun(began: Registry) -> Begun:
    """What became of the folder; what there was no room for may have some when something else has left."""
    full: dict[Key, Sight] = {}
    failed: dict[Key, Sight] = {}
    for key, failure in began.failures.items():
        (full if isinstance(failure.error, RepositoryFull) else failed)[key] = failure.sight
    return Begun(failed, full, began.aliases)

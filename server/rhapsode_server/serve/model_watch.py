"""Keeps what is served as the folder of models says, by commands like those of an operator."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol

from rhapsode_server.errors import RepositoryFull, RhapsodeError, ShuttingDown
from rhapsode_server.observe.logs import Log
from rhapsode_server.repository.residents import Key
from rhapsode_server.repository.sights import NOTHING, look
from rhapsode_server.serve.steward import SETTLE, Move, Steward
from rhapsode_server.serve.threads import beside

RESCAN = 5.0
"""Seconds after which the folder is looked at without a notice: of a network disk there may be none."""


class Control(Protocol):
    """What loads and unloads models."""

    put_away: Callable[[Key, str], object]
    """Told of each version that an operator unloads, and its digest."""

    async def load(self, name: str, version: int) -> object:
        """Have it served from its folder. Raises RhapsodeError."""

    async def unload(self, name: str, version: int, *, by_folder: bool) -> object:
        """Have it served no more; comes back when it has left memory. Raises RhapsodeError."""

    def set_alias(self, name: str, alias: str, version: int | None) -> object:
        """Have an alias name it; None for no version. Raises RhapsodeError."""


class ModelWatch:
    """Looks, has the steward decide, commands: loads first, then aliases, then unloads, so that no reference breaks.

    A load takes its time, be it ten minutes: it looks on meanwhile, and does what needs no load. Lives in the event
    loop. One failure, of whatever kind, ends nothing but what it failed in.
    """

    def __init__(
        self,
        models: Path,
        steward: Steward,
        control: Control,
        log: Log,
        wait: Callable[[float], Awaitable[object]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._models = models
        self._steward = steward
        self._control = control
        self._log = log
        self._wait = wait
        self._clock = clock
        self._view = NOTHING
        self._loading: asyncio.Task[None] | None = None
        self._unloading: dict[Key, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Watch until it is cancelled, or the server stops."""
        failed = ""
        try:
            while True:
                try:
                    await self.round()
                    failed = ""
                except ShuttingDown:
                    return
                except Exception as error:
                    if failed != repr(error):  # once for each, not every five seconds
                        self._log.error("model watch failed", exc_info=error)
                    failed = repr(error)
                await self._pause(SETTLE if self._steward.unrest() else RESCAN)
        finally:
            if self._loading:
                self._loading.cancel()

    async def round(self) -> None:
        """Look once, and do what is to be done."""
        if self._loading and self._loading.done():
            loading, self._loading = self._loading, None
            loading.result()
        try:
            self._view = await beside("look", look, self._models, self._view)
            self._steward.see(self._view, self._clock())
        except OSError:
            self._steward.see(None, self._clock())
        if key := self._steward.next_load():
            self._loading = asyncio.create_task(self._load(key))
            self._loading.add_done_callback(lambda task: task.cancelled() or task.exception())  # told in the next round
        for move in self._steward.moves():
            self._move(move)
        for key in self._steward.unloads():
            self._steward.unloaded(key)
            self._unloading[key] = asyncio.create_task(self._unload(key))

    async def _pause(self, seconds: float) -> None:
        """Until something may have changed in the folder, or the load is over."""
        wait = asyncio.ensure_future(self._wait(seconds))
        try:
            await asyncio.wait([each for each in (wait, self._loading) if each], return_when=asyncio.FIRST_COMPLETED)
            if wait.done():
                wait.result()
        finally:
            wait.cancel()

    async def _load(self, key: Key) -> None:
        try:
            await self._control.load(*key)
        except ShuttingDown:
            raise
        except RepositoryFull:
            self._steward.no_room(key)
        except RhapsodeError:  # which was told by whoever failed
            self._steward.failed(key)
        except Exception:
            self._steward.failed(key)
            raise
        else:
            self._steward.loaded(key)

    def _move(self, move: Move) -> None:
        try:
            self._control.set_alias(move.name, move.alias, move.version)
        except RhapsodeError as error:  # removed by command already, or its version unloaded in this moment
            self._log.info("alias not moved", model=move.name, alias=move.alias, reason=error.message)
        self._steward.moved(move)

    async def _unload(self, key: Key) -> None:
        """Not waited for: streams may take minutes to end, and what comes into the folder meanwhile is to be loaded."""
        try:
            await self._control.unload(*key, by_folder=True)
        except ShuttingDown:
            pass
        except RhapsodeError as error:
            self._log.warning("model not unloaded", model=key[0], model_version=key[1], reason=error.message)
            self._steward.stays(key)
        finally:
            self._unloading.pop(key, None)

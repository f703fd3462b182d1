"""Models that come and go while the server serves: whoever asks for it, and whether or not he waits for the end."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Protocol, TypeVar

from rhapsode_server.errors import ModelNotFound, RepositoryFull, RhapsodeError, ShuttingDown
from rhapsode_server.observe.loads import Failure
from rhapsode_server.observe.logs import Log
from rhapsode_server.repository import schema
from rhapsode_server.repository.bundle import Announced
from rhapsode_server.repository.in_child import Leash
from rhapsode_server.repository.loading import LoadedModel
from rhapsode_server.repository.residents import Key, Residents, State, Status
from rhapsode_server.serve.load_failures import device_lost, kind_of, told
from rhapsode_server.serve.loading import Heard
from rhapsode_server.serve.memory import give_back_memory
from rhapsode_server.serve.model_loader import Found
from rhapsode_server.serve.threads import beside

T = TypeVar("T")
_STOPPED = "the server is about to stop"


class Shelf(Protocol):
    """What holds the models that are in memory."""

    @property
    def residents(self) -> Residents[LoadedModel]:
        """Which those are."""

    def add(self, loaded: LoadedModel) -> object:
        """Drive one more, which cannot be asked for yet."""

    async def retire(self, loaded: LoadedModel) -> None:
        """Drive one no more that cannot be asked for any more: once no rpc needs it. Keeps nothing of it."""


class Loads(Protocol):
    """What finds and loads models; takes its time, so it is asked in threads."""

    def find(self, name: str, version: int | None) -> Found:
        """The version of that number, or the newest that there is. Raises ModelNotFound or LoadFailed."""

    def announced(self, found: Found) -> Announced:
        """What its bundle.json says now. Raises BundleError."""

    def load(self, found: Found, announced: Announced, leash: Leash) -> LoadedModel:
        """Load it. Raises StartupError."""


class ModelControl:
    """Loads, unloads and names versions. Lives in the event loop.

    One load at a time, in the order in which they were asked for; of one that is asked for again while its bundle.json
    is still the same there is only one. What was begun goes on when nobody waits for it any more, until `stop`; what
    that ends is loading for as long as anybody asks, who is told that the server stops.
    """

    def __init__(
        self,
        shelf: Shelf,
        loads: Loads,
        log: Log,
        failed: Callable[[Failure], object] = lambda _: None,
        feel: Callable[[str, RhapsodeError | None], object] = lambda *_: None,
    ) -> None:
        self._shelf = shelf
        self._residents = shelf.residents
        self._loads = loads
        self._log = log
        self._count = failed
        self._feel = feel
        self._turn = asyncio.Lock()
        self._loading: dict[asyncio.Task[Status], tuple[str, int | None]] = {}
        self._unloading: set[asyncio.Task[Sequence[Status]]] = set()
        self._coming: dict[tuple[Key, str], asyncio.Task[Status]] = {}
        self._going: dict[asyncio.Task[None], Key] = {}
        self._stopped = False
        self.put_away: Callable[[Key, str], object] = lambda *_: None
        """Told of each version that an operator has unloaded, and its digest; not of what its folder had unloaded."""

    async def load(self, name: str, version: int | None = None, graph: str = "") -> Status:
        """Load a version, or the newest in the folder, and serve it: how it stands then; nothing if it lacks a graph.

        What it replaces ends what it has begun in the background. Raises ModelNotFound, RepositoryFull, LoadFailed or
        ShuttingDown; what was served is served on then.
        """
        self._check_open()
        task = _begin(self._found_and_loaded(name, version, graph), lambda task: self._loading.pop(task))
        self._loading[task] = (name, version)
        return await _outcome(task)

    async def unload(
        self, name: str, version: int | None = None, graph: str = "", *, by_folder: bool = False
    ) -> Sequence[Status]:
        """Serve a version no more, or all of a name that have a graph; how they stand once they are out of memory.

        Comes after loads of them that were asked for before. `by_folder`: nobody asks but the folder.
        Raises ModelNotFound, ModelInUse or ShuttingDown.
        """
        self._check_open()
        before = [task for task, asked in self._loading.items() if _may_mean(asked, name, version)]
        work = self._unloaded(name, version, graph, before, tell=not by_folder)
        task = _begin(work, self._unloading.discard)
        self._unloading.add(task)
        return await _outcome(task)

    def set_alias(self, name: str, alias: str, version: int | None) -> None:
        """Have an alias name a version that is served; None removes it. Raises ModelNotFound or ShuttingDown."""
        self._check_open()
        self._residents.set_alias(name, alias, version)
        if version is None:
            self._log.info("model alias removed", model=name, alias=alias)
        else:
            self._log.info("model alias set", model=name, alias=alias, model_version=version)

    async def stop(self) -> None:
        """Begin nothing more, and end what is under way: its waiters are told. A load in a thread is left behind."""
        self._stopped = True
        tasks = [*self._loading, *self._unloading, *self._coming.values(), *self._going]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _check_open(self) -> None:
        if self._stopped:
            raise ShuttingDown(_STOPPED)

    async def _found_and_loaded(self, name: str, version: int | None, graph: str) -> Status:
        found = await beside("find", self._loads.find, name, version)
        if found.digest and not {graph} <= {"", *found.graphs}:  # without one it is told what is wrong with it
            raise ModelNotFound("that version has no such graph")
        which = (found.key, found.digest)
        if which not in self._coming:
            self._residents.expect(found.key)
            self._coming[which] = _begin(self._load(found), lambda _: self._coming.pop(which))
        return await _outcome(self._coming[which])

    async def _unloaded(
        self, name: str, version: int | None, graph: str, before: Sequence["asyncio.Task[Status]"], *, tell: bool
    ) -> Sequence[Status]:
        if before:
            await asyncio.wait(before)
        meant = [each for each in self._residents if _means(name, version, _key(each))]
        here = [_key(each) for each in meant if not graph or graph in schema.graphs(each.bundle)]
        self._let_go(here, tell=tell)
        going = {task: key for task, key in self._going.items() if _means(name, version, key)}
        if not going:
            raise ModelNotFound("no such version is served")
        for task in going:
            await _outcome(task)
        return [self._residents.status(key) for key in sorted({*going.values()})]

    async def _load(self, found: Found) -> Status:
        async with self._turn:
            Heard(self._log).begins("{}/{}".format(*found.key))
            try:
                self._switch(await self._loaded(found))
            except Exception as error:  # whatever it is, the models that are served are none the worse for it
                raise self._fail(found.key, error)  # noqa: B904 - which has set its cause
            return self._residents.status(found.key)

    async def _loaded(self, found: Found) -> LoadedModel:
        announced = await beside("find", self._loads.announced, found)
        self._residents.begin(found.key, announced.size)
        leash = Leash()
        try:
            return await beside("load", self._loads.load, found, announced, leash)
        finally:
            leash.pull()

    def _fail(self, key: Key, error: Exception) -> RhapsodeError:
        """Tell everybody of a failure: what those who wait are told."""
        seen = told(error)
        if seen is not error:  # an error that were its own cause would be a chain without an end
            seen.__cause__ = error
        blameless = isinstance(seen, RepositoryFull) and self._residents.status(key).state is State.READY
        self._residents.failed(key, "" if blameless else seen.message)  # no room is no fault of what is served
        self._count(kind_of(error))
        Heard(self._log).failed(key, error)
        if lost := device_lost(error):
            self._feel("{}@{}/load".format(*key), lost)
        return seen

    def _switch(self, model: LoadedModel) -> None:
        """Serve a model: whoever asks from this moment on gets it."""
        meant = self._residents.meant(model.name)
        self._shelf.add(model)
        replaced = self._residents.ready(model)
        Heard(self._log).loaded(model)
        previous = replaced or meant
        if previous is not None and (replaced is not None or self._residents.meant(model.name) is model):
            was = {"previous_version": previous.version, "previous_digest": previous.digest}
            self._log.info("model switched", model=model.name, model_version=model.version, digest=model.digest, **was)
        if replaced is not None:
            self._retire(replaced)

    def _let_go(self, keys: Sequence[Key], *, tell: bool) -> None:
        """Serve versions no more: all or none. Keeps none of them."""
        for model in self._residents.leave_all(keys):
            self._log.info("model unloading", model=model.name, model_version=model.version)
            if tell:
                self.put_away(_key(model), model.digest)
            self._retire(model)

    def _retire(self, model: LoadedModel) -> None:
        task = _begin(self._retired(model), lambda task: self._going.pop(task))
        self._going[task] = _key(model)

    async def _retired(self, model: LoadedModel) -> None:
        try:
            await self._shelf.retire(model)
        except Exception as error:
            self._log.error("model not unloaded", model=model.name, model_version=model.version, exc_info=error)
            raise
        self._residents.gone(model)
        gone = {"model": model.name, "model_version": model.version, "digest": model.digest}
        del model
        await beside("trim", give_back_memory)
        self._log.info("model unloaded", **gone)


def _begin(work: Coroutine[Any, Any, T], done: "Callable[[asyncio.Task[T]], object]") -> "asyncio.Task[T]":
    """Have something done whether or not anybody waits for it."""
    task = asyncio.create_task(work)
    task.add_done_callback(done)
    task.add_done_callback(lambda task: task.cancelled() or task.exception())  # which was told, if not by us
    return task


async def _outcome(task: "asyncio.Task[T]") -> T:
    """Wait for what was begun, which goes on where the wait is cancelled. Raises ShuttingDown where a stop ended it."""
    await asyncio.wait([task])
    if task.cancelled():
        raise ShuttingDown(_STOPPED)
    try:
        return task.result()
    finally:
        del task  # or its error had it, and it its error: the model of a load that failed would stay with them


def _key(model: LoadedModel) -> Key:
    return model.name, model.version


def _may_mean(asked: tuple[str, int | None], name: str, version: int | None) -> bool:
    """Whether a load that was asked for may be of what is meant: of the newest it is known late which that is."""
    return asked[0] == name and (None in (asked[1], version) or asked[1] == version)


def _means(name: str, version: int | None, key: Key) -> bool:
    return key[0] == name and version in (None, key[1])

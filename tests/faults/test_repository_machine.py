"""Models that come and go in every order that hypothesis can think of, beside requests that hold them."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from rhapsode_server.errors import (
    LoadFailed,
    ModelInUse,
    ModelNotFound,
    RepositoryFull,
    ShuttingDown,
)
from rhapsode_server.repository.awaited import DEFAULT
from rhapsode_server.repository.loading import LoadedModel
from rhapsode_server.repository.residents import Key, Residents, State
from rhapsode_server.repository.room import Bounds
from rhapsode_server.serve.model_control import ModelControl
from support.shelves import FATES, Bundle, Folder, Shelf, quiet_log

STEPS = settings(
    max_examples=100, derandomize=True, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
NAMES, VERSIONS, ALIASES = ("one", "two"), (1, 2, 3), (DEFAULT, "stable")
names, versions = st.sampled_from(NAMES), st.sampled_from(VERSIONS)
some_version = st.sampled_from((*VERSIONS, None))


class Machine(RuleBasedStateMachine):
    """What operators and clients ask; what must hold whatever they have asked."""

    @initialize(models=st.sampled_from([0, 2, 4]), size=st.sampled_from([0, 6]))
    def begin(self, models: int, size: int) -> None:
        self.loop = asyncio.new_event_loop()
        self.now = 0.0
        self.bounds = Bounds(models, size)
        residents: Residents[LoadedModel] = Residents(bounds=self.bounds, clock=lambda: self.now)
        self.shelf, self.folder, self.residents = Shelf(residents), Folder(), residents
        self.control = ModelControl(self.shelf, self.folder, quiet_log())
        self.loads: list[asyncio.Task[Any]] = []
        self.unloads: list[asyncio.Task[Any]] = []
        self.held: list[LoadedModel] = []
        self.digests = 0
        self.stopped = False

    @rule(name=names, version=versions, size=st.integers(1, 3), fate=st.sampled_from(["good"] * 4 + [*FATES]))
    def write(self, name: str, version: int, size: int, fate: str) -> None:
        """The folder has another bundle, be it in the middle of a load."""
        self.digests += 1
        self.folder.bundles[name, version] = Bundle(f"{self.digests}", size, fate)

    @rule(name=names, version=versions)
    def remove(self, name: str, version: int) -> None:
        self.folder.bundles.pop((name, version), None)

    @rule(name=names, version=some_version)
    def load(self, name: str, version: int | None) -> None:
        self.loads.append(self.ask(self.control.load(name, version)))
        self.until(lambda: self.folder.at_work is not None or self.loads[-1].done())

    @precondition(lambda self: self.folder.at_work)
    @rule()
    def finish(self) -> None:
        """The load that is under way comes to its end, whatever that is."""
        found = self.folder.at_work
        assert found is not None
        before, alone = self.account(), not self.unloads
        bundle, task = self.folder.bundles.get(found.key), next(task for task in self.loads if not task.done())
        self.folder.let_go()
        self.until(task.done)
        error = task.exception()
        if error is None:
            assert bundle is not None
            assert task.result().digest == bundle.digest
            assert bundle.fate == "good"
        else:
            assert isinstance(error, LoadFailed)
            assert not alone or self.account() == before
            assert self.stopped or self.residents.status(found.key).problem

    @precondition(lambda self: not self.folder.at_work)
    @rule(name=names, version=versions)
    def serve(self, name: str, version: int) -> None:
        """The usual course: a sound bundle is written, and loaded."""
        self.write(name, version, 2, "good")
        self.load(name, version)
        while self.folder.at_work:
            self.finish()

    @rule(name=names, version=some_version)
    def unload(self, name: str, version: int | None) -> None:
        self.unloads.append(self.ask(self.control.unload(name, version)))
        self.turn()

    @rule(name=names, alias=st.sampled_from(ALIASES), version=some_version)
    def set_alias(self, name: str, alias: str, version: int | None) -> None:
        aliases, served = self.residents.aliases(name), self.keys
        good = alias in aliases if version is None else (name, version) in served
        try:
            self.control.set_alias(name, alias, version)
        except (ModelNotFound, ShuttingDown):
            assert self.residents.aliases(name) == aliases
            assert self.stopped or not good
        else:
            wanted = {each: number for each, number in {**aliases, alias: version}.items() if number is not None}
            assert good
            assert self.residents.aliases(name) == wanted

    @rule(name=names, which=st.sampled_from(["", "@1", "@2", "@3", "@stable", "@default", "@02"]))
    def request(self, name: str, which: str) -> None:
        """A request finds a model, and holds it."""
        wanted = self.meaning(name, which.removeprefix("@"))
        try:
            model = self.residents.find(name + which)
        except ModelNotFound:
            assert wanted is None
        else:
            assert (model.name, model.version) == wanted
            self.held.append(model)
            self.shelf.held[model] += 1

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        """A request ends."""
        model = self.held.pop(data.draw(st.integers(0, len(self.held) - 1)))
        self.shelf.held[model] -= 1
        self.turn()

    @precondition(lambda self: self.now > 25)
    @rule()
    def stop(self) -> None:
        self.stopped = True
        self.loop.run_until_complete(self.control.stop())
        self.turn()
        assert all(task.done() for task in (*self.loads, *self.unloads))

    @invariant()
    def aliases_name_what_is_served(self) -> None:
        for name in NAMES:
            for alias, version in self.residents.aliases(name).items():
                assert self.residents.find(f"{name}@{alias}").version == version
                assert (name, version) in self.keys

    @invariant()
    def what_is_served_or_held_can_be_used(self) -> None:
        assert {*map(id, self.shelf.driven)} >= {*map(id, (*self.residents.served, *self.held))}
        served = {*map(id, (*self.residents.served, *self.residents.leaving))}
        assert {*map(id, self.shelf.driven)} <= served

    @invariant()
    def there_is_never_more_than_may_be(self) -> None:
        sizes = [model.size for model in self.shelf.driven]
        assert not self.bounds.models or len(sizes) <= self.bounds.models
        assert not self.bounds.size or sum(sizes) <= self.bounds.size

    @invariant()
    def statuses_say_how_it_is(self) -> None:
        leaving = {(model.name, model.version) for model in self.residents.leaving}
        for status in self.residents.statuses:
            key = (status.name, status.version)
            assert (status.state is State.READY) == (key in self.keys)
            assert (status.size > 0) == (key in self.keys or key in leaving)
            assert status.state is not State.UNLOADING or key in leaving
            assert status.state is not State.FAILED or status.problem

    @invariant()
    def everybody_is_answered_in_words_of_ours(self) -> None:
        for task in (*self.loads, *self.unloads):
            error = task.exception() if task.done() and not task.cancelled() else None
            assert error is None or isinstance(
                error, (LoadFailed, ModelInUse, ModelNotFound, RepositoryFull, ShuttingDown)
            )

    def teardown(self) -> None:
        """With no request and no load under way nothing is left behind."""
        if not hasattr(self, "loop"):
            return
        self.shelf.held.clear()
        while any(not task.done() for task in self.loads):
            self.folder.let_go()
            self.turn()
        self.until(lambda: all(task.done() for task in self.unloads))
        if not self.stopped:
            self.until(lambda: not self.control._going)
            assert not self.residents.leaving
            assert len(self.shelf.driven) == len(self.residents.served)
        assert self.stopped or not any(status.loading for status in self.residents.statuses)
        self.folder.let_go()
        self.loop.run_until_complete(self.control.stop())
        self.loop.close()

    @property
    def keys(self) -> set[Key]:
        return {(model.name, model.version) for model in self.residents}

    def meaning(self, name: str, which: str) -> Key | None:
        """What a reference must mean."""
        served, aliases = sorted(key for key in self.keys if key[0] == name), self.residents.aliases(name)
        if not which:
            newest = served[-1] if served else None
            return (name, aliases[DEFAULT]) if DEFAULT in aliases else newest
        return next((key for key in served if which == str(key[1]) or aliases.get(which) == key[1]), None)

    def account(self) -> object:
        """What no failed load may change."""
        return [*map(id, self.residents.served)], [self.residents.aliases(name) for name in NAMES]

    def ask(self, work: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
        task = self.loop.create_task(work)
        task.add_done_callback(lambda task: task.cancelled() or task.exception())
        return task

    def turn(self) -> None:
        """Have the event loop turn a few times."""
        self.now += 1
        for _ in range(10):
            self.loop.run_until_complete(asyncio.sleep(0))

    def until(self, there: Callable[[], object]) -> None:
        """Have it turn until something is so, which a thread may have to do."""
        self.turn()

        async def wait() -> None:
            async with asyncio.timeout(60):
                while not there():
                    await asyncio.sleep(0)

        self.loop.run_until_complete(wait())


def test_models_come_and_go_in_any_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rhapsode_server.serve.model_control.give_back_memory", lambda: None)
    run_state_machine_as_test(Machine, settings=STEPS)

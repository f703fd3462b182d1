"""The watch looks at real files, commands, and goes on whatever becomes of a command."""

import asyncio
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from rhapsode_server.errors import LoadFailed, ModelInUse, RepositoryFull, ShuttingDown
from rhapsode_server.observe.logs import open_log
from rhapsode_server.repository.residents import Key, Residents
from rhapsode_server.serve.model_watch import RESCAN, ModelWatch
from rhapsode_server.serve.steward import SETTLE, Begun, Steward
from support.bundles import stepper
from support.steward_scene import Model

PATIENCE = 60.0  # seconds for what takes some thousandths


class Hand:
    """Loads and unloads without a model; `refuses` says of a version why it cannot be done."""

    def __init__(self, residents: Residents[Model]) -> None:
        self.put_away: Callable[[Key, str], object] = lambda *_: None
        self.done: list[str] = []
        self.refuses: dict[Key, Exception] = {}
        self.drained = asyncio.Event()
        self.drained.set()
        self.rehearsed = asyncio.Event()
        self.rehearsed.set()
        self._residents = residents

    async def load(self, name: str, version: int) -> object:
        self.done.append(f"load {name}@{version}")
        if (name, version) in self.refuses:
            raise self.refuses[name, version]
        await self.rehearsed.wait()
        self._residents.begin((name, version), 1)
        return self._residents.ready(Model(name, version, "some"))

    def end_rehearsal(self) -> None:
        self.done.append("rehearsed")
        self.rehearsed.set()

    async def unload(self, name: str, version: int, *, by_folder: bool) -> object:
        assert by_folder
        if (name, version) in self.refuses:
            raise self.refuses[name, version]
        self.done.append(f"unload {name}@{version}")
        left = next(model for model in self._residents.served if (model.name, model.version) == (name, version))
        self._residents.leave((name, version))
        await self.drained.wait()
        self._residents.gone(left)
        return left

    def set_alias(self, name: str, alias: str, version: int | None) -> object:
        self.done.append(f"{name}@{alias} = {version}")
        self._residents.set_alias(name, alias, version)
        return None


class Watched:
    """A watch of a folder, gone round by hand."""

    def __init__(self, models: Path, newest: int = 0) -> None:
        self.residents: Residents[Model] = Residents()
        self.hand = Hand(self.residents)
        self.log = io.StringIO()
        self.waited: list[float] = []
        self.rounds = 0
        self.meanwhile: dict[int, Callable[[], object]] = {}
        self.sleeps_after: list[str] = []
        self.now = 0.0
        log = open_log("info", "json", "0", self.log)
        steward = Steward(self.residents, newest, log, Begun())
        self.watch = ModelWatch(models, steward, self.hand, log, self._wait, lambda: self.now)

    async def rounds_of(self, number: int) -> list[str]:
        """What was commanded in so many rounds, with as much time between them as it takes to settle."""
        self.hand.done.clear()
        self.rounds = number
        with pytest.raises(asyncio.CancelledError):
            await self.watch.run()
        return self.hand.done

    async def _wait(self, seconds: float) -> None:
        self.waited.append(seconds)
        self.now += seconds
        self.rounds -= 1
        if not self.rounds:
            raise asyncio.CancelledError
        self.meanwhile.get(self.rounds, list)()
        if self.sleeps_after and self.hand.done == self.sleeps_after:
            await asyncio.Event().wait()

    def said(self) -> list[str]:
        return [json.loads(line)["msg"] for line in self.log.getvalue().splitlines()]


@pytest.fixture
def models(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    stepper().write(folder)
    (folder / "tiny-text" / "aliases.toml").write_text("stable = 1\n", "utf-8")
    return folder


async def test_loads_come_before_aliases_and_those_before_unloads(models: Path) -> None:
    watched = Watched(models, newest=1)
    assert await watched.rounds_of(3) == ["load tiny-text@1", "tiny-text@stable = 1"]
    assert watched.waited == [SETTLE, RESCAN, RESCAN]
    stepper(version=2).write(models)
    (models / "tiny-text" / "aliases.toml").write_text("stable = 2\n", "utf-8")
    assert await watched.rounds_of(3) == ["load tiny-text@2", "tiny-text@stable = 2", "unload tiny-text@1"]


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (LoadFailed("it is broken"), 0),  # by whoever failed to load it
        (RepositoryFull("there is no room"), 0),
        (OSError("a fault of the machine's"), 1),
        (ZeroDivisionError("a fault of ours"), 1),
    ],
)
async def test_one_failure_ends_nothing(models: Path, error: Exception, told: int) -> None:
    watched = Watched(models)
    stepper(version=2).write(models)
    watched.hand.refuses["tiny-text", 2] = error
    done = await watched.rounds_of(4)
    assert done.count("load tiny-text@2") == 1
    assert "load tiny-text@1" in done
    assert watched.said().count("model watch failed") == told


async def test_it_ends_with_the_server(models: Path) -> None:
    watched = Watched(models)
    watched.hand.refuses["tiny-text", 1] = ShuttingDown("the server stops")
    watched.rounds = 9
    await watched.watch.run()


async def test_what_takes_long_to_unload_holds_up_no_load(models: Path) -> None:
    watched = Watched(models)
    stepper(version=2).write(models)
    await watched.rounds_of(3)
    watched.hand.drained.clear()
    shutil.rmtree(models / "tiny-text" / "2")
    assert await watched.rounds_of(3) == ["unload tiny-text@2"]
    stepper(version=3).write(models)
    assert await watched.rounds_of(3) == ["load tiny-text@3"]
    watched.hand.drained.set()


async def test_what_takes_long_to_load_holds_up_no_rollback(models: Path) -> None:
    watched = Watched(models, newest=2)
    for version in (2, 3):
        stepper(version=version).write(models)
    name(models, "stable = 3\n")
    await watched.rounds_of(6)
    watched.hand.rehearsed.clear()
    stepper(version=4).write(models)
    watched.meanwhile = {
        9: lambda: name(models, "stable = 2\n"),
        6: lambda: name(models, "stable = 4\n"),
        3: watched.hand.end_rehearsal,
    }
    moved = ["tiny-text@stable = 2", "rehearsed", "tiny-text@stable = 4"]
    assert await watched.rounds_of(12) == ["load tiny-text@4", *moved, "unload tiny-text@2"]
    assert watched.said() == []


async def test_the_end_of_a_load_ends_the_wait(models: Path) -> None:
    watched = Watched(models)
    watched.sleeps_after = ["load tiny-text@1"]
    async with asyncio.timeout(PATIENCE):
        assert await watched.rounds_of(4) == ["load tiny-text@1", "tiny-text@stable = 1"]


def name(models: Path, aliases: str) -> None:
    (models / "tiny-text" / "aliases.toml").write_text(aliases, "utf-8")


async def test_an_unload_that_is_refused_is_asked_for_again(models: Path) -> None:
    watched = Watched(models)
    stepper(version=2).write(models)
    await watched.rounds_of(3)
    watched.hand.refuses["tiny-text", 2] = ModelInUse("an alias names it", {"alias": "mine"})
    shutil.rmtree(models / "tiny-text" / "2")
    await watched.rounds_of(3)
    await asyncio.sleep(0)
    watched.hand.refuses.clear()
    assert await watched.rounds_of(2) == ["unload tiny-text@2"]


async def test_a_folder_that_goes_and_comes_back_unloads_nothing(models: Path) -> None:
    watched = Watched(models)
    await watched.rounds_of(3)
    await asyncio.to_thread(models.rename, models.parent / "away")
    assert await watched.rounds_of(4) == []
    await asyncio.to_thread((models.parent / "away").rename, models)
    assert await watched.rounds_of(4) == []
    assert watched.said() == ["models folder away", "models folder back"]

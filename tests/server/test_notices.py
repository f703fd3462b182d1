"""What changes where models lie is noticed, whatever lies beside it."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from rhapsode_server.serve.notices import Notices

PATIENCE = 60.0  # seconds for what takes some thousandths


@asynccontextmanager
async def listening(models: Path) -> AsyncIterator[Notices]:
    """Notices that listen by now, and have no cause to complain."""
    said = list[str]()
    notices = Notices(models, said.append, look=0.02)
    notices.start()
    try:
        for number in range(2):  # the first is of the beginning
            await until_heard(notices, models, f"first-{number}")
        yield notices
    finally:
        notices.close()
    assert said == []


async def test_a_change_is_noticed_also_where_the_folder_was_away(tmp_path: Path) -> None:
    models = tmp_path / "models"
    models.mkdir()
    async with listening(models) as notices:
        await asyncio.to_thread(models.rename, tmp_path / "away")
        await asyncio.to_thread(models.mkdir)
        for number in range(3):  # the first two are of the folder itself
            await until_heard(notices, models, f"second-{number}")


async def test_a_change_is_noticed_in_a_version_that_has_come_or_was_put_in_anothers_place(tmp_path: Path) -> None:
    async with listening(tmp_path) as notices:
        version = tmp_path / "model" / "1"
        for turn in range(2):
            await asyncio.to_thread((tmp_path / f".{turn}").mkdir)
            if turn:
                await asyncio.to_thread(version.rename, tmp_path / ".before")
            else:
                await asyncio.to_thread(version.parent.mkdir)
            await asyncio.to_thread((tmp_path / f".{turn}").rename, version)
            await quiet(notices)
            await until_heard(notices, version, f"file-{turn}")


async def test_what_is_no_model_is_not_listened_to_and_harms_nothing(tmp_path: Path) -> None:
    models, elsewhere = tmp_path / "models", tmp_path / "elsewhere"
    (elsewhere / "1" / "deep").mkdir(parents=True)
    (models / "model" / "1").mkdir(parents=True)
    async with listening(models) as notices:
        before = watches()
        (models / "link").symlink_to(elsewhere)
        (models / ".link").symlink_to(elsewhere)
        (models / "model" / "2").symlink_to(elsewhere)
        os.mkdir(os.fsencode(models) + b"/\xff")  # noqa: PTH102 - a name that is no text
        await quiet(notices)
        await until_heard(notices, models / "model" / "1", "file")
        assert watches() <= before


def watches() -> int:
    """How many folders the system tells this process of."""
    told = 0
    for path in Path("/proc/self/fdinfo").iterdir():
        try:
            told += path.read_text("ascii").count("inotify wd")
        except OSError:  # of what reads this folder
            continue
    return told


async def until_heard(notices: Notices, folder: Path, name: str) -> None:
    """Change the folder until that is noticed: whether it listens already nobody can see."""
    async with asyncio.timeout(PATIENCE):
        number = 0
        while not await heard(notices, 0.5):
            number += 1
            await asyncio.to_thread((folder / f"{name}-{number}").touch)


async def quiet(notices: Notices) -> None:
    """Let all be heard that has been."""
    while await heard(notices, 0.5):
        pass


async def heard(notices: Notices, seconds: float) -> bool:
    """Whether something was noticed in the time."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    await notices.wait(seconds)
    return loop.time() - began < seconds


async def test_without_a_notice_a_wait_ends_by_itself(tmp_path: Path) -> None:
    notices = Notices(tmp_path, lambda _: None)
    await notices.wait(0.01)

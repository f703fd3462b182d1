"""Tells that something has changed where models lie, as soon as the system says so."""

import asyncio
import os
import re
import threading
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TypeAlias

import watchfiles

from rhapsode_server.repository.schema import NAME, VERSION
from rhapsode_server.serve.threads import tell

_GATHER = 200  # milliseconds for which changes that come together are gathered
_RETRY = 5.0  # seconds until a folder that cannot be watched is tried again
_Identity: TypeAlias = tuple[int, int] | None


class Notices:
    """A notice of changes, in a thread that holds up no stop: a disk may not answer.

    Listens at the folder, those of models in it and those of their versions, and nowhere else: a link or a folder of
    another name may lead to any number of files. Some folders change without a notice: of a network disk, what others
    change. So whoever waits looks now and then too.
    """

    def __init__(self, folder: Path, unwatched: Callable[[str], object], look: float = 1.0) -> None:
        """`unwatched` is told why there will be no notices; every `look` seconds the path is looked up anew."""
        self._folder = folder
        self._unwatched = unwatched
        self._look = look
        self._loop = asyncio.get_running_loop()
        self._news = asyncio.Event()
        self._ending = threading.Event()
        self._heard = False
        self._thread = threading.Thread(target=self._watch, name="notices", daemon=True)

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def close(self) -> None:
        """Listen no more. Waits for nothing."""
        self._ending.set()

    async def wait(self, seconds: float) -> None:
        """Wait until something has changed since the last wait, though no longer than that."""
        try:
            await asyncio.wait_for(self._news.wait(), seconds)
        except TimeoutError:
            return
        self._news.clear()

    def _watch(self) -> None:
        told = ""
        while not self._ending.is_set():
            identity = _identity(self._folder)
            if identity is None:
                self._ending.wait(self._look)
                continue
            tell(self._loop, self._news.set)
            places = _places(self._folder)
            try:
                self._listen(identity, places)
            except Exception as error:  # of the system's bounds, or the library's: looks now and then do else
                # Not what comes of a folder that has just gone, or has a name that is no text.
                if _identity(self._folder) is not None and _places(self._folder) == places and not self._heard:
                    if str(error) != told:
                        told = str(error)
                        tell(self._loop, partial(self._unwatched, told))
                    self._ending.wait(_RETRY)
                self._ending.wait(self._look)

    def _listen(self, identity: _Identity, places: Mapping[Path, int]) -> None:
        """Tell of changes for as long as the path means this folder, and these are the places to listen at."""
        self._heard = False
        for changes in watchfiles.watch(
            *places,
            watch_filter=None,
            debounce=_GATHER,
            rust_timeout=round(self._look * 1000),
            yield_on_timeout=True,
            stop_event=self._ending,
            raise_interrupt=False,
            recursive=False,
            ignore_permission_denied=True,
        ):
            anew = changes or not self._heard  # what came before it listened it has not heard of
            self._heard = True
            moved = _identity(self._folder) != identity or bool(anew and _places(self._folder) != places)
            if changes or moved:
                tell(self._loop, self._news.set)
            if moved:
                return


def _places(folder: Path) -> Mapping[Path, int]:
    """The folder, and all that may hold a model or a version; by number, since one may be put in another's place."""
    models = _inside(folder, NAME)
    places = {folder: 0} | models
    for model in models:
        places |= _inside(model, VERSION)
    return places


def _inside(folder: Path, names: re.Pattern[str]) -> dict[Path, int]:
    """The folders in it with such names; none where nobody can look."""
    try:
        with os.scandir(folder) as entries:
            return {
                folder / entry.name: entry.inode()
                for entry in entries
                if names.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False)
            }
    except OSError:
        return {}


def _identity(folder: Path) -> _Identity:
    """Another one where a link was turned away, or a disk was taken away."""
    try:
        found = os.stat(folder)  # noqa: PTH116
    except OSError:
        return None
    return found.st_dev, found.st_ino

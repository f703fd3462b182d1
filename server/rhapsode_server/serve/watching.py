"""Looks whether files have changed, in a thread of its own."""

import stat
import threading
import traceback
from collections.abc import Callable, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import TypeAlias

INTERVAL = 1.0  # seconds between two looks
LARGEST = 4 << 20  # bytes of a file that are looked at
_Sight: TypeAlias = tuple[bytes | None, ...]  # by file: what it holds, in short; None where it cannot be read


class Watch:
    """Calls `reload`, once for each change, when what files hold is other than before and has been so for two looks.

    The wait is for those who write one file after another. What is compared is what the files hold, under their names
    at that time: a folder that a link is turned away from (Kubernetes) is a change like any other, one that was touched
    is none, and a write in the same moment as a look is not missed, as it would be by times and sizes. Three files of a
    certificate take 0.1 ms a look. What is no regular file never changes, since reading a pipe would empty it.

    `reload` is called in the thread of the watch, once at the beginning too, for a change since the files were read. It
    has to say itself what it finds wrong; it is called again when there is another change.
    """

    def __init__(self, paths: Sequence[str | Path], reload: Callable[[], object], interval: float = INTERVAL) -> None:
        self._paths = [Path(path) for path in paths]
        self._reload = reload
        self._interval = interval
        self._known: _Sight = ()
        self._seen = self._see()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watch", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def close(self) -> None:
        """Look no more. Waits for nothing: a disk that does not answer must not hold up a stop."""
        self._ending.set()

    def look(self) -> None:
        """Look once."""
        now = self._see()
        settled, self._seen = now == self._seen, now
        if settled and now != self._known:
            self._known = now
            self._reload()

    def _watch(self) -> None:
        while not self._ending.wait(self._interval):
            try:
                self.look()
            except Exception:  # a fault of ours in one reload must not end all others
                traceback.print_exc()

    def _see(self) -> _Sight:
        return tuple(_digest(path) for path in self._paths)


def _digest(path: Path) -> bytes | None:
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return b"no regular file"
        with path.open("rb") as file:
            return blake2b(file.read(LARGEST)).digest()
    except OSError:
        return None

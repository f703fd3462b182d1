"""One worker as its supervisor sees it: a process, what it says, and what it has counted."""

import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import Pipe
from threading import Event, Thread
from typing import TypeAlias

from rhapsode_server.observe.merge import Family
from rhapsode_server.observe.workers import Ledger
from rhapsode_server.serve.messages import Command, Downwards, Failed, Order, Serving, Word

ANSWER = 1.0  # seconds that a page waits for a worker's metrics; those that it told last do else


@dataclass(frozen=True, slots=True)
class Serves:
    """A worker serves now, models with these fingerprints."""

    worker: "Worker"
    fingerprints: frozenset[str]


@dataclass(frozen=True, slots=True)
class Ended:
    """A worker's process has ended."""

    worker: "Worker"
    status: int  # below 0: minus the number of the signal that ended it


Event_: TypeAlias = Serves | Ended


class Worker:
    """A worker's process, from its start to its end. `tell` is called from a thread of its own.

    Raises OSError or RuntimeError where there is no room for the process, or for the thread.
    """

    def __init__(self, order: Order, ledger: Ledger, tell: Callable[[Event_], None]) -> None:
        self.number = order.number
        self.failure: Failed | None = None
        self._ledger = ledger
        self._tell = tell
        self._asked = 0.0
        self._answered = Event()
        self._turned = False
        ours, theirs = Pipe()
        with theirs:
            words = [sys.executable, "-P", "-m", "rhapsode_server.serve.worker", str(theirs.fileno())]
            # In a group of its own: what a terminal tells the group comes to the supervisor, and from there, once.
            self._process = subprocess.Popen(words, pass_fds=[theirs.fileno()], process_group=0)
        self._line = Downwards(ours)
        self._line.say(order)
        self.pid = self._process.pid
        try:
            Thread(target=self._listen, daemon=True).start()
        except RuntimeError:
            self._process.kill()
            self._process.wait()
            raise

    def ask(self) -> None:
        """Ask for its metrics, unless it still owes them."""
        if self._answered.is_set():
            self._answered.clear()
            self._asked = time.monotonic()
            self._line.say(Command.TELL)

    def wait(self) -> None:
        """Wait until it has told them, though not for one that owes them for long."""
        self._answered.wait(max(0.0, self._asked + ANSWER - time.monotonic()))

    def turned(self) -> bool:
        """Whether its event loop was seen to turn since this was asked last."""
        turned, self._turned = self._turned, False
        return turned

    def stop(self) -> None:
        """Have it stop gracefully."""
        self._line.say(Command.STOP)

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()

    def _listen(self) -> None:
        families: list[Family] = []
        for report in self._line.heard():
            match report:
                case Serving(fingerprints):
                    self._answered.set()
                    self._tell(Serves(self, fingerprints))
                case Word.TURNS:
                    self._turned = True
                case Word.TOLD:
                    self._ledger.tell(self, families)
                    families = []
                    self._answered.set()
                case Failed():
                    self.failure = report
                case _:
                    families.append(report)
        status = self._process.wait()
        self._ledger.bury(self)
        self._answered.set()
        self._tell(Ended(self, status))

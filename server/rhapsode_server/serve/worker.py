"""A worker: the process that serves as one of several on a port that they share."""

import asyncio
import os
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from importlib.metadata import version
from multiprocessing.connection import Connection
from threading import Event, Lock, Thread
from typing import TypeAlias, cast

from rhapsode_server.errors import ConfigError, StartupError
from rhapsode_server.observe.logs import open_log
from rhapsode_server.observe.merge import Family
from rhapsode_server.serve import life, loading
from rhapsode_server.serve.messages import Command, Failed, Order, Serving, Upwards, Word
from rhapsode_server.serve.process import SLACK, leave, run_alone
from rhapsode_server.serve.wish import nothing_to_lose

Call: TypeAlias = Callable[[Callable[[], object]], object]  # has an event loop do something


def main() -> None:
    """Serve as the supervisor orders over the pipe whose descriptor is the argument."""
    line = Upwards(Connection(int(sys.argv[1])))
    for order in line.heard():
        leave(run(cast("Order", order), line))


def run(order: Order, line: Upwards) -> int:
    """Load, serve and stop: the exit code, that of a server by itself."""
    config = order.config
    log = open_log(config.log_level, config.log_format, version("rhapsode"), worker=order.number)
    listener = Listener(line, config.drain_delay + config.grace + SLACK)
    listener.start()
    try:
        with nothing_to_lose():
            runtime, models = loading.load(config, log)
            on_ready = partial(listener.serving, frozenset(model.fingerprint for model in models.models))
            code = run_alone(life.serve(config, runtime, models, log, order.tracing, on_ready))
            listener.tell()
    except StartupError as error:
        wrong_option = isinstance(error, ConfigError)
        line.say(Failed(error.message, wrong_option))
        return 2 if wrong_option else 1
    finally:
        log.close()
    return code


class Listener(Thread):
    """Does what the supervisor says, whatever the event loop is busy with; stops where there is no supervisor."""

    def __init__(self, line: Upwards, patience: float) -> None:
        super().__init__(daemon=True)
        self._line = line
        self._patience = patience
        self._lock = Lock()
        self._mouth = Lock()
        self._counted: Callable[[], Iterable[Family]] = tuple
        self._stop: Callable[[], object] = lambda: os._exit(0)  # while it loads, nothing can be lost
        self._call: Call = _in_no_loop
        self._turned = Event()

    def serving(self, fingerprints: frozenset[str], server: life.Server, asked: asyncio.Event) -> None:
        """Say that this server serves models with these fingerprints; in its event loop."""
        call = asyncio.get_running_loop().call_soon_threadsafe
        with self._lock:
            self._counted, self._stop, self._call = server.counted, lambda: call(asked.set), call
        self._turned.set()
        self._line.say(Serving(fingerprints))

    def tell(self) -> None:
        """Say what was counted until now, in pieces, so as not to hold up other threads for long.

        The largest of 23 models' takes 1.0 ms to collect and 0.4 to pickle, nearly twice that on a busy machine.
        """
        with self._mouth:
            for family in self._counted():
                self._line.say(family)
            self._line.say(Word.TOLD)

    def run(self) -> None:
        """Listen until there is nobody to listen to."""
        for command in self._line.heard():
            if command is Command.TELL:
                self._beat()
                self.tell()
            else:
                self._end()
        self._end()
        time.sleep(self._patience)
        os._exit(1)

    def _beat(self) -> None:
        """Say that the event loop turns, if it has since it was asked to; ask it again."""
        if self._turned.is_set():
            self._turned.clear()
            self._line.say(Word.TURNS)
            with suppress(RuntimeError):  # it has ended
                self._call(self._turned.set)

    def _end(self) -> None:
        with self._lock, suppress(RuntimeError):  # an event loop that has ended has stopped
            self._stop()


def _in_no_loop(_: Callable[[], object]) -> None:
    """There is none yet."""


if __name__ == "__main__":
    main()

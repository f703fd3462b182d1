"""A worker: the process that serves as one of several on a port that they share."""

import asyncio
import os
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from importlib.metadata import version
from multiprocessing.connection import Connection
from threading import Lock, Thread
from typing import cast

from rhapsode_server.errors import ConfigError, StartupError
from rhapsode_server.observe.logs import Log, open_log
from rhapsode_server.observe.merge import Family
from rhapsode_server.observe.opening import open_traces
from rhapsode_server.repository.registry import Registry
from rhapsode_server.runtime.providers import Runtime
from rhapsode_server.serve import life
from rhapsode_server.serve.messages import Command, Failed, Order, Upwards, Word
from rhapsode_server.serve.process import PATIENCE, leave, run_alone
from rhapsode_server.serve.wish import wish_to_stop


def main() -> None:
    """Serve as the supervisor orders over the pipe whose descriptor is the argument."""
    line = Upwards(Connection(int(sys.argv[1])))
    for order in line.heard():
        leave(run(cast("Order", order), line))


def run(order: Order, line: Upwards) -> int:
    """Load, serve and stop: the exit code, that of a server by itself."""
    config = order.config
    log = open_log(config.log_level, config.log_format, version("rhapsode"), worker=order.number)
    listener = Listener(line, config.drain_delay + config.grace + life.LAST_WORDS + PATIENCE)
    listener.start()
    try:
        runtime, models = life.load(config, log)
        run_alone(_serve(order, runtime, models, log, listener))
    except StartupError as error:
        wrong_option = isinstance(error, ConfigError)
        line.say(Failed(error.message, wrong_option))
        return 2 if wrong_option else 1
    finally:
        log.close()
    return 0


async def _serve(order: Order, runtime: Runtime, models: Registry, log: Log, listener: "Listener") -> None:
    loop = asyncio.get_running_loop()
    with wish_to_stop(log) as asked:
        traces = open_traces(order.tracing, version("rhapsode"), log, loop.call_soon_threadsafe)
        server = life.Server(order.config, runtime, models, log, traces)
        await server.start()
        listener.serving(server.counted, lambda: loop.call_soon_threadsafe(asked.set))
        await asked.wait()
        await server.stop()
        listener.tell()


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

    def serving(self, counted: Callable[[], Iterable[Family]], stop: Callable[[], object]) -> None:
        """Say so; `stop` is called, perhaps again and again, where the end is wanted."""
        with self._lock:
            self._counted, self._stop = counted, stop
        self._line.say(Word.SERVING)

    def tell(self) -> None:
        """Say what was counted until now, in pieces: one by one they hold up other threads for less than 1 ms."""
        with self._mouth:
            for family in self._counted():
                self._line.say(family)
            self._line.say(Word.TOLD)

    def run(self) -> None:
        """Listen until there is nobody to listen to."""
        for command in self._line.heard():
            if command is Command.TELL:
                self.tell()
            else:
                self._end()
        self._end()
        time.sleep(self._patience)
        os._exit(1)

    def _end(self) -> None:
        with self._lock, suppress(RuntimeError):  # an event loop that has ended has stopped
            self._stop()


if __name__ == "__main__":
    main()

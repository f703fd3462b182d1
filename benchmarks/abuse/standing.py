"""Readers that take the first bytes of a stream of pictures and then stand still."""

import select
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from benchmarks.abuse import asked
from benchmarks.abuse.hold import Hold
from benchmarks.abuse.victim import Victim
from benchmarks.abuse.wire import PICTURE_STREAM, Wire
from h2.events import DataReceived, Event, StreamEnded

READERS = 100
ENOUGH = 100_000  # pictures, of which nobody gets far
PARKED, GIVEN_UP = "rhapsode_parked_jobs", "rhapsode_streams_given_up_total"
PATIENCE = 60.0
_AGAIN = 0.3  # seconds after which one who was refused asks again
_ANSWERS = 0.2  # seconds between two looks whether there are pings to answer


class Miser(Wire):
    """A connection that answers pings, and makes no room for more than HTTP/2 begins with."""

    def begin(self, model: str) -> None:
        """Begin a stream, and take what comes first of it. Raises TimeoutError."""
        limit = time.monotonic() + PATIENCE
        while time.monotonic() < limit:
            stream = self.ask(PICTURE_STREAM, asked.picture_stream(ENOUGH, model))
            self.flush()
            first = self.until(lambda event: isinstance(event, DataReceived | StreamEnded), PATIENCE)
            if isinstance(first, DataReceived):
                return
            time.sleep(_AGAIN)
        raise TimeoutError(f"no stream began: {self.status(stream, 0.0)}")

    def _note(self, event: Event) -> None:
        if not isinstance(event, DataReceived):
            super()._note(event)


def hold_streams(hold: Hold, address: str, count: int, model: str) -> None:
    """Begin streams on connections of their own, and leave all but their first 64 KB untaken."""
    with ExitStack() as stack:
        misers = [stack.enter_context(Miser(address)) for _ in range(count)]
        for miser in misers:
            miser.begin(model)
        stack.enter_context(_answering(misers))
        hold.held()


@contextmanager
def _answering(wires: Sequence[Wire]) -> Iterator[None]:
    """Answer the server's pings in a thread: who does not is cut off before long, and no stalled reader."""
    over = threading.Event()

    def answer() -> None:
        while not over.wait(_ANSWERS):
            for wire in select.select([wire for wire in wires if not wire.ended], [], [], 0.0)[0]:
                wire.receive(0.0)

    thread = threading.Thread(target=answer)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def count(server: Victim, name: str) -> int:
    """What a metric has come to."""
    return server.patient.gauges(name)[name]


def wait(server: Victim, name: str, wanted: int, patience: float) -> int:
    """Wait until a metric has come to a count, though not for ever: what it has come to."""
    limit = time.monotonic() + patience
    while (found := count(server, name)) < wanted and time.monotonic() < limit:
        time.sleep(0.5)  # a page that is asked for more often is an older one
    return found

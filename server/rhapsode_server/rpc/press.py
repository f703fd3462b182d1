"""Writes pictures as bytes outside of the event loop, those of many requests in one turn of a thread."""

import asyncio
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

from rhapsode_server.models.decoder import Pixels
from rhapsode_server.observe.metrics import Metrics
from rhapsode_server.rpc.pictures import FILE_NAMES, Writer

TURN_VALUES = 1 << 14  # pixel values that a thread writes before it tells: one or two milliseconds of PNG


@dataclass(frozen=True, slots=True, eq=False)
class _Sheet:
    """Pictures of one request that are written together."""

    writer: Writer
    pictures: Sequence[Pixels]
    written: "asyncio.Future[list[bytes]]"

    @property
    def values(self) -> int:
        """Pixel values of all its pictures."""
        return len(self.pictures) * self.pictures[0].size


class Press:
    """Shared by all rpcs. Lives in the event loop: what one turn of the loop brings costs one wake-up of a thread."""

    def __init__(self, workers: Executor, width: int, metrics: Metrics) -> None:
        self._workers = workers
        self._width = width
        self._timed = {form: metrics.encoded(name.lower()) for form, name in FILE_NAMES.items()}
        self._waiting: deque[_Sheet] = deque()
        self._turns: set[asyncio.Task[None]] = set()

    async def write(self, writer: Writer, pictures: Sequence[Pixels]) -> list[bytes]:
        """Write pictures, each float32 [channels, height, width], in order; on several cores where there are many."""
        loop = asyncio.get_running_loop()
        most = max(1, TURN_VALUES // pictures[0].size)
        starts = range(0, len(pictures), most)
        sheets = [_Sheet(writer, pictures[start : start + most], loop.create_future()) for start in starts]
        self._waiting.extend(sheets)
        loop.call_soon(self._start)  # not at once: others may add to what a thread takes
        groups = await asyncio.gather(*(sheet.written for sheet in sheets))
        return [data for group in groups for data in group]

    def _start(self) -> None:
        """Give what waits to the threads that are free."""
        if self._waiting and len(self._turns) < self._width:
            turn = asyncio.get_running_loop().create_task(self._work())
            self._turns.add(turn)
            turn.add_done_callback(self._turns.discard)

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        while turn := self._take():
            loop.call_soon(self._start)
            for sheet, result in zip(turn, await loop.run_in_executor(self._workers, self._write, turn), strict=True):
                if sheet.written.done():
                    continue
                if isinstance(result, Exception):
                    sheet.written.set_exception(result)
                else:
                    sheet.written.set_result(result)

    def _take(self) -> list[_Sheet]:
        """One turn's sheets."""
        turn: list[_Sheet] = []
        room = TURN_VALUES
        while self._waiting and (not turn or self._waiting[0].values <= room):
            sheet = self._waiting.popleft()
            if not sheet.written.done():  # whoever waited for it has gone else
                turn.append(sheet)
                room -= sheet.values
        return turn

    def _write(self, turn: Sequence[_Sheet]) -> list[list[bytes] | Exception]:
        """What became of each sheet; one that fails leaves the others alone. In a thread."""
        results: list[list[bytes] | Exception] = []
        for sheet in turn:
            try:
                results.append(sheet.writer.write(sheet.pictures, self._timed.get(sheet.writer.format)))
            except Exception as error:  # whatever it is, it goes to the request whose pictures these are
                results.append(error)
        return results

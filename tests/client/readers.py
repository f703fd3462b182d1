"""Readers of streams of one server, some in threads and some in an event loop, and how far each of them has got."""

import asyncio
import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TypeAlias

from rhapsode_client import AsyncClient, ChannelSettings, Client, FinishReason, TextChunk, TextFinished
from rhapsode_client.types import TextOptions

PATIENCE = 240.0  # seconds until a test gives up; nothing is timed
Logprobs: TypeAlias = tuple[str, tuple[tuple[int, str], ...]]  # as hexadecimal, which tells every bit


@dataclass(frozen=True)
class Asked:
    """One reader's stream."""

    prompt: str
    options: TextOptions


@dataclass
class Candidate:
    """All that came of one candidate."""

    text: str = ""
    echoed: str = ""
    ids: list[int] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    logprobs: list[Logprobs] = field(default_factory=list)
    end: tuple[FinishReason, str, int, int] | None = None

    def take(self, chunk: TextChunk) -> None:
        """Add a chunk; every token with its place, so that gaps and repetitions show."""
        self.text += chunk.text
        if chunk.echoed:
            self.echoed += chunk.text
            return
        self.places += range(chunk.first_token_index, chunk.first_token_index + len(chunk.token_ids))
        self.ids += chunk.token_ids
        for position in chunk.logprobs:
            top = tuple((one.token_id, one.logprob.hex()) for one in position.top)
            self.logprobs.append((position.logprob.hex(), top))

    def finish(self, end: TextFinished) -> None:
        """Note the end, but not how long it took."""
        usage = end.usage
        self.end = end.reason, end.stop_sequence, usage.prompt_token_count, usage.generated_token_count


class Progress:
    """How many chunks each reader has had, and which readers are done."""

    def __init__(self, readers: int) -> None:
        self._changed = threading.Condition()
        self._chunks = [0] * readers
        self._done = [False] * readers

    def note(self, reader: int) -> None:
        """A reader has had a chunk."""
        with self._changed:
            self._chunks[reader] += 1
            self._changed.notify()

    def end(self, reader: int) -> None:
        """A reader has had everything, or has failed."""
        with self._changed:
            self._done[reader] = True
            self._changed.notify()

    def now(self) -> Sequence[int]:
        """The chunks so far."""
        with self._changed:
            return tuple(self._chunks)

    def wait_beyond(self, before: Sequence[int]) -> None:
        """Wait until every reader that is not done has had more than `before`."""
        with self._changed:
            everyone = self._changed.wait_for(lambda: self._all_beyond(before), PATIENCE)
        assert everyone, f"no chunk since {before}: {self._chunks}"

    def _all_beyond(self, before: Sequence[int]) -> bool:
        return all(done or now > then for done, now, then in zip(self._done, self._chunks, before, strict=True))


Texts: TypeAlias = dict[int, Candidate]


@contextmanager
def reading(
    address: str, model: str, asked: Sequence[Asked], settings: ChannelSettings
) -> Iterator[tuple[Progress, Sequence["Future[Texts]"]]]:
    """Read all streams at once, each by a client of its own, every other one in an event loop."""
    progress = Progress(len(asked))
    with ExitStack() as stack:
        pool = stack.enter_context(ThreadPoolExecutor(len(asked)))
        loop = stack.enter_context(running_loop(pool))
        readers = [_Reader(address, model, one, settings, number, progress) for number, one in enumerate(asked)]
        yield (
            progress,
            [
                asyncio.run_coroutine_threadsafe(reader.read_async(), loop) if number % 2 else pool.submit(reader.read)
                for number, reader in enumerate(readers)
            ],
        )


@contextmanager
def running_loop(pool: ThreadPoolExecutor) -> Iterator[asyncio.AbstractEventLoop]:
    """An event loop in a thread of the pool."""
    loop = asyncio.new_event_loop()
    ended = pool.submit(loop.run_forever)
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(loop.stop)
        ended.result()
        loop.close()


@dataclass(frozen=True)
class _Reader:
    address: str
    model: str
    asked: Asked
    settings: ChannelSettings
    number: int
    progress: Progress

    def read(self) -> Texts:
        with self._texts() as texts, Client(self.address, self.settings) as client:
            stream = client.stream_text(self.model, self.asked.prompt, timeout=PATIENCE, **self.asked.options)
            for chunk in stream:
                self._take(chunk, texts)
            finish(texts, stream.finished)
        return texts

    async def read_async(self) -> Texts:
        with self._texts() as texts:
            async with AsyncClient(self.address, self.settings) as client:
                stream = client.stream_text(self.model, self.asked.prompt, timeout=PATIENCE, **self.asked.options)
                async for chunk in stream:
                    self._take(chunk, texts)
                finish(texts, stream.finished)
        return texts

    @contextmanager
    def _texts(self) -> Iterator[Texts]:
        try:
            yield {}
        finally:
            self.progress.end(self.number)

    def _take(self, chunk: TextChunk, texts: Texts) -> None:
        texts.setdefault(chunk.candidate, Candidate()).take(chunk)
        self.progress.note(self.number)


def finish(texts: Texts, ends: Iterable[TextFinished]) -> None:
    """Note how candidates ended."""
    for end in ends:
        texts[end.candidate].finish(end)

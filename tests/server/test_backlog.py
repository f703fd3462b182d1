"""A backlog is a queue of rows that asks for each once, when its turn comes; rows that are made lazily stay unmade."""

import gc
from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rhapsode.v1.image_pb2 import StreamImagesRequest
from rhapsode_server.engine.backlog import Backlog
from rhapsode_server.models.decoder import ImageRow
from rhapsode_server.rpc.lazy_rows import LazyRows
from support.requests import images
from support.server import Loaded, running


@given(st.integers(0, 9), st.lists(st.integers(0, 3), max_size=40))
def test_it_is_what_a_deque_is(count: int, steps: list[int]) -> None:
    asked: list[int] = []

    def make(place: int) -> int:
        asked.append(place)
        return place

    backlog: Backlog[int] = Backlog(LazyRows(count, make))
    plain = deque(range(count))
    for number, step in enumerate(steps):
        if step == 0 and plain:
            assert backlog.popleft() == plain.popleft()
        elif step == 1:
            backlog.append(-number)
            plain.append(-number)
        elif step == 2:
            backlog.appendleft(-number)
            plain.appendleft(-number)
        assert len(backlog) == len(plain)
        assert bool(backlog) == bool(plain)
    assert [backlog.popleft() for _ in range(len(backlog))] == list(plain)
    assert asked == list(range(count))


def test_an_empty_one_gives_nothing() -> None:
    backlog = Backlog([1, 2])
    backlog.clear()
    assert len(backlog) == 0
    with pytest.raises(IndexError):
        backlog.popleft()


def test_lazy_rows_are_a_sequence() -> None:
    rows = LazyRows(5, lambda place: place * place)
    assert (list(rows), rows[-1], rows[1:3], len(rows)) == ([0, 1, 4, 9, 16], 16, [1, 4], 5)
    with pytest.raises(IndexError):
        rows[5]


async def test_a_request_for_very_many_pictures_holds_none_of_their_rows(loaded: Loaded) -> None:
    asked = StreamImagesRequest(generation=images(100_000))
    async with running(loaded) as server:
        streams = [server.image.StreamImages(asked) for _ in range(20)]
        for stream in streams:
            await stream.read()
        rows = sum(type(each) is ImageRow for each in gc.get_objects())  # isinstance asks objects that warn when asked
        for stream in streams:
            stream.cancel()
    assert rows < 20 * 5000  # those of pictures that wait for a reader; all would be two million

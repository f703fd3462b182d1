"""The press: whatever is written together, each request gets its own pictures, in order, or its own error."""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from io import BytesIO
from typing import Any, TypeVar

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from prometheus_client import CollectorRegistry

from rhapsode.v1 import image_pb2
from rhapsode.v1.bundle_pb2 import ImageSpec
from rhapsode_server.observe.metrics import Metrics
from rhapsode_server.rpc.pictures import Writer
from rhapsode_server.rpc.press import TURN_VALUES, Press

SPEC = ImageSpec(height=16, width=16, channels=1, low=0, high=255)
PNG = Writer(image_pb2.IMAGE_FORMAT_PNG, SPEC)
Pixels = NDArray[np.float32]
T = TypeVar("T")


class Counting(ThreadPoolExecutor):
    """Threads that count how often they are called."""

    def __init__(self) -> None:
        super().__init__(2)
        self.turns = 0

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> "Future[T]":
        self.turns += 1
        return super().submit(fn, *args, **kwargs)


@pytest.fixture
def workers() -> Iterator[Counting]:
    with Counting() as pool:
        yield pool


def pictures(count: int, first: int = 0) -> list[Pixels]:
    """Pictures of one grey each, from `first` up."""
    return [np.full((1, 16, 16), (first + place) % 256, dtype=np.float32) for place in range(count)]


def greys(files: list[bytes]) -> list[int]:
    return [int(np.asarray(Image.open(BytesIO(file)))[0, 0]) for file in files]


async def test_each_request_gets_its_own_pictures_in_order(workers: Counting) -> None:
    press = Press(workers, 2, Metrics(CollectorRegistry()))
    counts = (1, 200, 3, 1, 130)
    written = await asyncio.gather(*(press.write(PNG, pictures(count, first=count)) for count in counts))
    for count, files in zip(counts, written, strict=True):
        assert greys(files) == [(count + place) % 256 for place in range(count)]


async def test_what_comes_in_one_turn_of_the_loop_costs_few_turns_of_a_thread(workers: Counting) -> None:
    press = Press(workers, 2, Metrics(CollectorRegistry()))
    count = TURN_VALUES // 256
    await asyncio.gather(*(press.write(PNG, pictures(1)) for _ in range(count)))
    assert workers.turns == 1
    await press.write(PNG, pictures(3 * count))
    assert workers.turns == 1 + 3


async def test_one_who_fails_or_leaves_does_not_touch_the_others(workers: Counting) -> None:
    press = Press(workers, 2, Metrics(CollectorRegistry()))
    broken = [np.zeros((5, 16, 16), dtype=np.float32)]  # no file has five channels
    tasks = [asyncio.create_task(press.write(PNG, each)) for each in (pictures(2), broken, pictures(2), pictures(2, 7))]
    await asyncio.sleep(0)
    tasks[2].cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(results[1], Exception)
    assert isinstance(results[2], asyncio.CancelledError)
    assert [greys(files) for files in (results[0], results[3]) if isinstance(files, list)] == [[0, 1], [7, 8]]

"""A function that runs in a process of its own, so that its CPU time is told apart from the server's."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from typing import Generic, ParamSpec, TypeVar

ParametersT = ParamSpec("ParametersT")
ResultT = TypeVar("ResultT")


@dataclass(frozen=True, slots=True)
class Done(Generic[ResultT]):
    """What a function gave back, and the seconds of CPU that it took."""

    value: ResultT
    cpu_seconds: float


@contextmanager
def begun(
    function: Callable[ParametersT, ResultT], *args: ParametersT.args, **kwargs: ParametersT.kwargs
) -> Iterator["Future[Done[ResultT]]"]:
    """Run a function of a module elsewhere while the block lasts; waits for its end on leaving."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        yield pool.submit(_timed, partial(function, *args, **kwargs))


def elsewhere(
    function: Callable[ParametersT, ResultT], *args: ParametersT.args, **kwargs: ParametersT.kwargs
) -> Done[ResultT]:
    """Run a function of a module elsewhere, to its end."""
    with begun(function, *args, **kwargs) as future:
        return future.result()


@contextmanager
def worker() -> Iterator["Work"]:
    """A process that runs one function after another, since to start it takes longer than what some of them do."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        yield Work(pool)


class Work:
    """Runs a function of a module in a process that is there already."""

    def __init__(self, pool: ProcessPoolExecutor) -> None:
        self._pool = pool

    def __call__(
        self, function: Callable[ParametersT, ResultT], *args: ParametersT.args, **kwargs: ParametersT.kwargs
    ) -> ResultT:
        """Run it to its end."""
        return self._pool.submit(function, *args, **kwargs).result()


def _timed(function: Callable[[], ResultT]) -> Done[ResultT]:
    began = time.process_time()
    value = function()
    return Done(value, time.process_time() - began)

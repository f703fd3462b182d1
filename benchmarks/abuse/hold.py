"""A function that runs in a process of its own, gets hold of something, and holds it until it is told to let go."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any, Concatenate, ParamSpec

ParametersT = ParamSpec("ParametersT")
_PATIENCE = 120.0
_LETS_GO = 30.0


class Hold:
    """What such a function is given."""

    def __init__(self, line: Connection) -> None:
        self._line = line

    def held(self, news: object = None, meanwhile: Callable[[], object] | None = None) -> None:
        """Say that it is held now, and wait until it may be let go of, doing something again and again meanwhile."""
        self._line.send(news)
        with suppress(EOFError):
            while meanwhile and not self._line.poll():
                meanwhile()
            self._line.recv()


class Held:
    """What is held: the news that came with it, until it is let go of."""

    def __init__(self, line: Connection) -> None:
        if not line.poll(_PATIENCE):
            raise TimeoutError(f"nothing was held after {_PATIENCE:.0f} s")
        self.news: Any = line.recv()


@contextmanager
def holding(
    function: Callable[Concatenate[Hold, ParametersT], None], *args: ParametersT.args, **kwargs: ParametersT.kwargs
) -> Iterator[Held]:
    """Run a function of a module elsewhere; enters the block once it holds what it should."""
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_run, args=(theirs, function, args, kwargs))
    process.start()
    theirs.close()
    try:
        with ours:
            yield Held(ours)
            ours.send(None)
        process.join(_LETS_GO)
    finally:
        process.kill()
        process.join()


def _run(line: Connection, function: Callable[..., None], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    with line:
        function(Hold(line), *args, **kwargs)

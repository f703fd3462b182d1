"""What a model stands between: the engine, which asks for runs, and the session that computes them."""

from collections.abc import Mapping, Sequence
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from numpy.typing import NDArray

from rhapsode_server.errors import RhapsodeError

RowT_contra = TypeVar("RowT_contra", contravariant=True)
EventT = TypeVar("EventT")


class Tensor(Protocol):
    """A tensor that lies where the session computes: on the GPU, where that is one."""

    def numpy(self) -> NDArray[Any]:
        """A copy in host memory."""
        ...


class Session(Protocol):
    """A graph that can be run."""

    def run(self, feeds: Mapping[str, NDArray[Any]]) -> Mapping[str, NDArray[Any]]:
        """Compute every output from every input, both by name. Raises RunFailed or DeviceLost."""
        ...


class ResidentRuns(Protocol):
    """Runs of one graph whose outputs can stay where they were computed, to be fed again from there."""

    @property
    def inputs(self) -> Mapping[str, object]:
        """What the graph takes, by name."""
        ...

    def run(
        self,
        feeds: Mapping[str, NDArray[Any]],
        resident: Mapping[str, Any],
        outputs: Sequence[str],
        staying: Sequence[str],
    ) -> tuple[Mapping[str, NDArray[Any]], Mapping[str, Tensor]]:
        """Compute from arrays and from tensors of an earlier run: `outputs` as arrays, `staying` left where they lie.

        An array that is fed again must not have been changed. Raises RunFailed or DeviceLost.
        """
        ...


class Outcome(NamedTuple, Generic[EventT]):
    """What one run did to one row: news for its reader, and whether it wants more runs.

    A row that failed has `error` and is done; its batch-mates are not touched.
    """

    events: Sequence[EventT] = ()
    done: bool = False
    error: RhapsodeError | None = None
    made: int = 0
    """Tokens, pictures, latents, judgements or tensors that the run made for this row, told or not yet told."""
    fleeting: bool = False
    """Whether the events, previews, mean nothing any more once later ones of the row have come."""
    raw: bool = False
    """Whether what was made are tensors, as the graph gives them."""
    apart: bool = False
    """Whether the run failed at first, and was done again in parts."""


class Wanted(NamedTuple):
    """Steps that a row wants still, at least and at most. A run takes one or more of them for each of its rows."""

    least: int = 1
    most: int = 1


ONE = Wanted()


def one_step(_: object) -> Wanted:
    """What a row wants that is done in one run."""
    return ONE


class OneRun:
    """What models have in common whose rows are done in one run."""

    def wants(self, row: object) -> Wanted:
        """One step."""
        return one_step(row)


class Model(Protocol[RowT_contra, EventT]):
    """One graph with the meaning of one step of it. Driven by one thread; keeps no row that it was not given."""

    @property
    def max_batch(self) -> int:
        """Most rows in one run."""
        ...

    def advance(self, rows: Sequence[RowT_contra]) -> Sequence[Outcome[EventT]]:
        """Advance every row by one run: one outcome for each row, in order.

        Raises RunFailed or DeviceLost where the run failed as a whole, OutOfMemory (a RunFailed) where fewer rows might
        do; every row then stands where it stood, and may be advanced again, by itself or with others.
        """
        ...

    def wants(self, row: RowT_contra) -> Wanted:
        """How many steps a row wants still."""
        ...

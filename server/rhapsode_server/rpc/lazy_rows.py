"""Rows that are made when they are asked for: a request for 100,000 pictures is no larger than one for a single one."""

from collections.abc import Callable, Sequence
from typing import TypeVar, overload

RowT = TypeVar("RowT")


class LazyRows(Sequence[RowT]):
    """So many rows, each made from its place, anew whenever it is asked for. Making one must not fail."""

    def __init__(self, count: int, make: Callable[[int], RowT]) -> None:
        self._count = count
        self._make = make

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, place: int) -> RowT: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[RowT]: ...

    def __getitem__(self, place: int | slice) -> RowT | Sequence[RowT]:
        if isinstance(place, slice):
            return [self._make(each) for each in range(self._count)[place]]
        return self._make(range(self._count)[place])

"""The operators that turn a tensor of the contract into a foreign one, or the other way round."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper

from rhapsode_exporter.importer.contract import Wanted, dtype_name

Row = tuple[int, ...]
Pattern = Sequence[int | str | None]
_FLOATS = frozenset({TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.BFLOAT16})
_INTEGERS = frozenset({TensorProto.INT64, TensorProto.INT32})
_CHANNELS_FIRST, _CHANNELS_LAST = (0, 1, 2), (1, 2, 0)


@dataclass(frozen=True, slots=True)
class Step:
    """One operator: Cast to a type, Reshape to a shape, or Transpose by a permutation."""

    operator: str
    values: tuple[int, ...]

    def __str__(self) -> str:
        """As a person reads it: "Reshape [-1, 1]"."""
        if self.operator == "Cast":
            return f"Cast {dtype_name(self.values[0])}"
        return f"{self.operator} [{', '.join(map(str, self.values))}]"

    def apply(self, array: NDArray[np.generic]) -> NDArray[np.generic]:
        """What the operator makes of an array."""
        if self.operator == "Cast":
            return array.astype(helper.tensor_dtype_to_np_dtype(self.values[0]))
        return array.reshape(self.values) if self.operator == "Reshape" else array.transpose(self.values)


@dataclass(frozen=True, slots=True)
class Fit:
    """How rows of a picture or vector lie in a foreign tensor: a permutation of the axes, then a shape."""

    layout: tuple[int, ...]
    row: Row


def input_steps(wanted: Wanted, dtype: int, shape: Pattern, batch: int) -> tuple[Step, ...] | None:
    """From a tensor of the contract, [batch, *row], to a foreign input; None where it does not fit.

    Axes of `shape` other than the batch that vary take the size of the contract's, or 1 where it has none.
    """
    fit = _fit(wanted, [axis for place, axis in enumerate(shape) if place != batch])
    if fit is None or not castable(wanted.dtype, dtype):
        return None
    return tuple(_towards(wanted, fit, batch)) + _cast(wanted.dtype, dtype)


def output_steps(wanted: Wanted, dtype: int, shape: Row, batch: int) -> tuple[Step, ...] | None:
    """From a foreign output to the tensor of the contract, [batch, *row]; None where it does not fit."""
    fit = _fit(wanted, [axis for place, axis in enumerate(shape) if place != batch])
    if fit is None or not castable(dtype, wanted.dtype):
        return None
    return _cast(dtype, wanted.dtype) + tuple(_back(wanted, fit, batch))


def castable(source: int, target: int) -> bool:
    """Whether a Cast between two element types keeps the meaning: among floats, or among integers."""
    return source == target or {source, target} <= _FLOATS or {source, target} <= _INTEGERS


def move_batch(rank: int, source: int, target: int) -> Step:
    """The Transpose that moves one axis and keeps the order of the others."""
    others = [axis for axis in range(rank) if axis != source]
    return Step("Transpose", (*others[:target], source, *others[target:]))


def _towards(wanted: Wanted, fit: Fit, batch: int) -> Iterator[Step]:
    row = tuple(wanted.row[axis] for axis in fit.layout)
    if row != wanted.row or fit.layout != tuple(range(len(fit.layout))):
        yield Step("Transpose", (0, *(axis + 1 for axis in fit.layout)))
    if all(size == 1 for size in fit.row[:batch]):  # the batch can be moved past axes of size 1 without a Transpose
        if batch or row != fit.row:
            yield Step("Reshape", (*fit.row[:batch], -1, *fit.row[batch:]))
        return
    if row != fit.row:
        yield Step("Reshape", (-1, *fit.row))
    yield move_batch(len(fit.row) + 1, 0, batch)


def _back(wanted: Wanted, fit: Fit, batch: int) -> Iterator[Step]:
    row = tuple(wanted.row[axis] for axis in fit.layout)
    reshaped = row != fit.row
    if all(size == 1 for size in fit.row[:batch]):
        reshaped = reshaped or batch > 0
    else:
        yield move_batch(len(fit.row) + 1, batch, 0)
    if reshaped:
        yield Step("Reshape", (-1, *row))
    if fit.layout == _CHANNELS_LAST:
        yield Step("Transpose", (0, 3, 1, 2))


def _fit(wanted: Wanted, pattern: Pattern) -> Fit | None:
    """The first way in which a row fits a foreign shape without its batch: as it is, or but for axes of size 1."""
    layouts = (_CHANNELS_FIRST, _CHANNELS_LAST) if wanted.picture else (tuple(range(len(wanted.row))),)
    fixed = tuple(axis if isinstance(axis, int) else 1 for axis in pattern)
    for layout in layouts:
        row = tuple(wanted.row[axis] for axis in layout)
        if len(row) == len(pattern) and all(
            not isinstance(axis, int) or axis == size for axis, size in zip(pattern, row, strict=True)
        ):
            return Fit(layout, row)
        if _long(row) == _long(fixed):
            return Fit(layout, fixed)
    if wanted.picture and wanted.row[0] == 1 and fixed == (prod(wanted.row),):  # grey pixels have one order only
        return Fit(_CHANNELS_FIRST, fixed)
    return None


def _long(row: Row) -> Row:
    return tuple(size for size in row if size != 1)


def _cast(source: int, target: int) -> tuple[Step, ...]:
    return () if source == target else (Step("Cast", (target,)),)

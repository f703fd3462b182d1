"""The parts of the import, on values alone: escapes, and the operators between the contract's tensors and others."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import TensorProto

from rhapsode_exporter.importer.adapt import Pattern, Step, input_steps, output_steps
from rhapsode_exporter.importer.contract import Wanted
from rhapsode_exporter.importer.vocabulary import unescape

FLOAT, HALF = TensorProto.FLOAT, TensorProto.FLOAT16
COLOUR = Wanted("image", FLOAT, (3, 4, 6), picture=True)
GREY = Wanted("image", FLOAT, (1, 4, 6), picture=True)
SQUARE = Wanted("image", FLOAT, (3, 3, 3), picture=True)
LATENT = Wanted("latent", FLOAT, (5,))
TOKEN = Wanted("token", FLOAT, ())
STATE = Wanted("state", FLOAT, (2, 6))

# A tensor of the contract, the foreign shape, the place of its batch, the operators towards it.
FITTING: list[tuple[Wanted, Pattern, int, str]] = [
    (LATENT, ("N", 5), 0, ""),
    (LATENT, ("N", "L"), 0, ""),
    (LATENT, ("N", 5, 1, 1), 0, "Reshape [-1, 5, 1, 1]"),
    (LATENT, (1, "N", 5), 1, "Reshape [1, -1, 5]"),
    (LATENT, (5, "N"), 1, "Transpose [1, 0]"),
    (TOKEN, ("N",), 0, ""),
    (TOKEN, ("N", "T"), 0, "Reshape [-1, 1]"),
    (TOKEN, ("T", "N"), 1, "Reshape [1, -1]"),
    (STATE, (2, "N", 6), 1, "Transpose [1, 0, 2]"),
    (STATE, (2, 6, "N"), 2, "Transpose [1, 2, 0]"),
    (COLOUR, ("N", 3, "H", "W"), 0, ""),
    (COLOUR, ("N", 4, 6, 3), 0, "Transpose [0, 2, 3, 1]"),
    (COLOUR, ("N", "H", "W", 3), 0, "Transpose [0, 2, 3, 1]"),
    (COLOUR, (4, 6, 3, "N"), 3, "Transpose [0, 2, 3, 1], Transpose [1, 2, 3, 0]"),
    (COLOUR, ("N", 1, 4, 6, 3), 0, "Transpose [0, 2, 3, 1], Reshape [-1, 1, 4, 6, 3]"),
    (GREY, ("N", 4, 6), 0, "Reshape [-1, 4, 6]"),
    (GREY, ("N", 4, 6, 1), 0, "Reshape [-1, 4, 6, 1]"),
    (GREY, ("N", 24), 0, "Reshape [-1, 24]"),
    (SQUARE, ("N", 3, 3, 3), 0, ""),
]
UNFIT: list[tuple[Wanted, Pattern]] = [
    (LATENT, ("N", 6)),
    (LATENT, ("N",)),
    (LATENT, ("N", 5, 2)),
    (TOKEN, ("N", 2)),
    (STATE, ("N", 6, 2)),
    (COLOUR, ("N", 72)),
    (COLOUR, ("N", 6, 4, 3)),
    (GREY, ("N", 6, 4)),
]


def follow(values: NDArray[Any], steps: tuple[Step, ...] | None) -> NDArray[Any]:
    """What the operators make of values."""
    assert steps is not None
    for step in steps:
        values = step.apply(values)
    return values


@pytest.mark.parametrize(("wanted", "shape", "batch", "steps"), FITTING)
def test_a_tensor_goes_there_and_comes_back(wanted: Wanted, shape: Pattern, batch: int, steps: str) -> None:
    rows = np.arange(7 * int(np.prod(wanted.row)), dtype=np.float32).reshape(7, *wanted.row)
    there = input_steps(wanted, FLOAT, shape, batch)
    assert ", ".join(map(str, there or ())) == steps
    found = follow(rows, there)
    assert found.ndim == len(shape)
    assert found.shape[batch] == 7
    assert all(size == axis for size, axis in zip(found.shape, shape, strict=True) if isinstance(axis, int))
    back = follow(found, output_steps(wanted, FLOAT, found.shape, batch))
    assert np.array_equal(back, rows)
    half = follow(found.astype(np.float16), output_steps(wanted, HALF, found.shape, batch))
    assert half.dtype == np.float32
    assert follow(rows, input_steps(wanted, HALF, shape, batch)).dtype == np.float16


@pytest.mark.parametrize(("wanted", "shape"), UNFIT)
def test_a_tensor_that_does_not_fit(wanted: Wanted, shape: Pattern) -> None:
    assert input_steps(wanted, FLOAT, shape, 0) is None
    fixed = tuple(axis if isinstance(axis, int) else 7 for axis in shape)
    assert output_steps(wanted, FLOAT, fixed, 0) is None
    assert input_steps(LATENT, TensorProto.INT64, ("N", 5), 0) is None


def test_a_channels_last_picture_is_turned_and_not_torn() -> None:
    rows = np.arange(2 * 3 * 4 * 6).reshape(2, 3, 4, 6)
    found = follow(rows, input_steps(COLOUR, FLOAT, ("N", 4, 6, 3), 0))
    assert np.array_equal(found[1, 2, 5], rows[1, :, 2, 5])


def test_escapes() -> None:
    assert unescape(r"a\n\r\t\\n\x20\u00e9\U0001f600") == "a\n\r\t\\n é😀"
    for wrong in (r"\q", "\\", r"\x2", r"\u12", r"\U00110000", r"\ud800"):
        with pytest.raises(ValueError, match=r"escape|surrogates"):
            unescape(wrong)

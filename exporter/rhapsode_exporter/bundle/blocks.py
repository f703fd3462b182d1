"""Weights in few bits: blocks of a matrix with a scale and a zero point each, packed as MatMulNBits takes them.

The layout is that of ONNX Runtime's operator com.microsoft::MatMulNBits (its docs/ContribOperators.md); rounding is to
the nearest of the levels that are spread evenly between a block's least and greatest weight, zero among them.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Scheme:
    """How weights are stored: `bits` (4 or 8) for each, in blocks of `block` weights along the summed axis."""

    bits: int
    block: int

    @property
    def highest(self) -> int:
        """The greatest level."""
        return int(2**self.bits - 1)


@dataclass(frozen=True, slots=True, eq=False)
class Blocks:
    """A matrix [K, N] in B blocks a column; weight = scale × (level - zero point).

    `levels` [N, B, block × bits / 8] and `zero_points` [N, ⌈B × bits / 8⌉] hold the earlier of two 4-bit numbers in the
    lower half of a byte; `scales` is [N, B]. The last block is filled up with zeros.
    """

    levels: Bytes
    scales: Floats
    zero_points: Bytes


def to_blocks(weights: Floats, scheme: Scheme) -> Blocks:
    """A matrix [K, N] of finite numbers in blocks."""
    rows, columns = weights.shape
    count = -(-rows // scheme.block)
    padded = np.zeros((columns, count * scheme.block), np.float32)
    padded[:, :rows] = weights.T
    blocks = padded.reshape(columns, count, scheme.block)
    least, greatest = np.minimum(blocks.min(axis=2), 0), np.maximum(blocks.max(axis=2), 0)
    scales = ((greatest - least) / np.float32(scheme.highest)).astype(np.float32)
    divisors = np.where(scales == 0, np.float32(1), scales)  # of a block of zeros
    zeros = np.rint(-least / divisors)
    levels = np.clip(np.rint(blocks / divisors[..., None]) + zeros[..., None], 0, scheme.highest)
    return Blocks(_pack(levels, scheme.bits), scales, _pack(zeros, scheme.bits))


def _pack(numbers: Floats, bits: int) -> Bytes:
    """Whole numbers below 2 ** bits, packed along the last axis."""
    whole = numbers.astype(np.uint8)
    if bits == 8:
        return whole
    if whole.shape[-1] % 2:
        whole = np.concatenate((whole, np.zeros_like(whole[..., :1])), axis=-1)
    return whole[..., ::2] | whole[..., 1::2] << np.uint8(4)

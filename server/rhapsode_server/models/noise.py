"""Counter-based noise: any number of any row of any seed, without the numbers before it.

The generator is Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"). The key is the
seed, low word first. The counter is (block, row low, row high, purpose); each block gives four words, so word n of a
row is word n mod 4 of block n div 4. Nothing is shared between rows, so nothing depends on who else is served.
"""

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

MULTIPLIERS = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
WEYL = (0x9E3779B9, 0xBB67AE85)
ROUNDS = 10
WORD = np.uint64(0xFFFFFFFF)
HALF = np.uint64(32)


class Purpose(IntEnum):
    """What the noise of a row is drawn for: the counter's last word, so that no two uses share a number."""

    TOKEN = 0
    LATENT = 1
    CLASS = 2


def philox(key: tuple[int, int], counters: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Philox4x32-10 of each counter: uint32 [n, 4] → uint32 [n, 4], under one key of two 32-bit words."""
    a, b, c, d = (counters[:, lane].astype(np.uint64) for lane in range(4))
    for number in range(ROUNDS):
        key_a, key_b = (np.uint64((key[lane] + number * WEYL[lane]) & 0xFFFFFFFF) for lane in range(2))
        product_a, product_c = a * MULTIPLIERS[0], c * MULTIPLIERS[1]
        a, b, c, d = (
            (product_c >> HALF) ^ b ^ key_a,
            product_c & WORD,
            (product_a >> HALF) ^ d ^ key_b,
            product_a & WORD,
        )
    return np.stack([a, b, c, d], axis=1).astype(np.uint32)


def words(seed: int, row: int, purpose: Purpose, start: int, count: int) -> NDArray[np.uint32]:
    """Words `start` to `start + count` of a row: uint32 [count]. `seed` and `row` are 64-bit, unsigned."""
    first, last = start // 4, (start + count + 3) // 4
    counters = np.empty((last - first, 4), dtype=np.uint32)
    counters[:, 0] = np.arange(first, last, dtype=np.uint32)
    counters[:, 1:] = (row & 0xFFFFFFFF, row >> 32, purpose)
    blocks = philox((seed & 0xFFFFFFFF, seed >> 32), counters).reshape(-1)
    return blocks[start - 4 * first :][:count]


def token_uniforms(seed: int, row: int, start: int, count: int) -> NDArray[np.float32]:
    """The uniforms that draw generated tokens `start` to `start + count`: float32 [count] in (0, 1).

    The upper 23 bits of each word, plus a half: exact in single precision, never 0 and never 1.
    """
    upper = words(seed, row, Purpose.TOKEN, start, count) >> np.uint32(9)
    return ((upper + np.float64(0.5)) * 2.0**-23).astype(np.float32)


def uniforms(seed: int, row: int, count: int) -> NDArray[np.float64]:
    """The first uniforms of a row's latent: float64 [count] in (0, 1), (word + 1/2) / 2³²."""
    return (words(seed, row, Purpose.LATENT, 0, count).astype(np.float64) + 0.5) * 2.0**-32


def choice(seed: int, row: int, options: int) -> int:
    """One of `options` (at most 2³²) equally likely numbers from zero up: the row's word times options, upper half."""
    return int(words(seed, row, Purpose.CLASS, 0, 1)[0]) * options >> 32

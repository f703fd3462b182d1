"""Counter-based noise: any number of any row of any seed, without the numbers before it.

The generator is Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"). The key is the
seed, low word first. The counter is (block, row low, row high, purpose); each block gives four words, so word n of a
row is word n mod 4 of block n div 4. Nothing is shared between rows, so nothing depends on who else is served.
"""

from collections.abc import Sequence
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

# Lanes 0 and 2 of a counter, then lanes 1 and 3, are worked on together: shape [2, …].
MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
WEYL = (0x9E3779B9, 0xBB67AE85)
ROUNDS = 10
WORD = np.uint64(0xFFFFFFFF)
HALF = np.uint64(32)


class Purpose(IntEnum):
    """What the noise of a row is drawn for: the counter's last word, so that no two uses share a number."""

    TOKEN = 0
    LATENT = 1
    CLASS = 2
    CHAIN_START = 5
    CHAIN_STEP = 6


def philox(key: tuple[int, int], counters: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Philox4x32-10 of each counter: uint32 [n, 4] → uint32 [n, 4], under one key of two 32-bit words."""
    lanes = counters.T.astype(np.uint64)
    return _mix(np.array(key, dtype=np.uint64)[:, None], lanes[0::2], lanes[1::2]).reshape(-1, 4)


def words(seed: int, row: int, purpose: Purpose, start: int, count: int) -> NDArray[np.uint32]:
    """Words `start` to `start + count` of a row: uint32 [count]. `seed` and `row` are 64-bit, unsigned."""
    return np.asarray(words_of_rows([seed], [row], purpose, start, count)[0])


def words_of_rows(
    seeds: Sequence[int], rows: Sequence[int], purpose: Purpose, start: int, count: int
) -> NDArray[np.uint32]:
    """The `words` of n rows, each with its own seed: uint32 [n, count]."""
    first, last = start // 4, (start + count + 3) // 4
    seed, row = (np.array(each, dtype=np.uint64)[:, None] for each in (seeds, rows))
    lanes = np.empty((4, len(rows), last - first), dtype=np.uint64)
    lanes[0] = np.arange(first, last)
    lanes[1], lanes[2], lanes[3] = row & WORD, row >> HALF, np.uint64(purpose)
    blocks = _mix(np.stack([seed & WORD, seed >> HALF]), lanes[0::2], lanes[1::2])
    chosen: NDArray[np.uint32] = blocks.reshape(len(rows), -1)[:, start - 4 * first :][:, :count]
    return chosen


def words_of_steps(
    seeds: Sequence[int], rows: Sequence[int], purpose: Purpose, steps: Sequence[int], count: int
) -> NDArray[np.uint32]:
    """What step `steps[i]` of row i draws: uint32 [n, count]. Each step has ⌈count / 4⌉ blocks of its own."""
    blocks = (count + 3) // 4
    seed, row, step = (np.array(each, dtype=np.uint64)[:, None] for each in (seeds, rows, steps))
    lanes = np.empty((4, len(rows), blocks), dtype=np.uint64)
    lanes[0] = step * np.uint64(blocks) + np.arange(blocks, dtype=np.uint64)
    lanes[1], lanes[2], lanes[3] = row & WORD, row >> HALF, np.uint64(purpose)
    drawn: NDArray[np.uint32] = _mix(np.stack([seed & WORD, seed >> HALF]), lanes[0::2], lanes[1::2])
    return drawn.reshape(len(rows), -1)[:, :count]


def single_uniforms(words: NDArray[np.uint32]) -> NDArray[np.float32]:
    """Words as uniforms in single precision, in (0, 1), never 0 and never 1: the upper 23 bits, plus a half, exact."""
    return (((words >> np.uint32(9)) + np.float64(0.5)) * 2.0**-23).astype(np.float32)


def token_uniforms(seed: int, row: int, start: int, count: int) -> NDArray[np.float32]:
    """The uniforms that draw generated tokens `start` to `start + count`: float32 [count] in (0, 1)."""
    return single_uniforms(words(seed, row, Purpose.TOKEN, start, count))


def uniforms(seed: int, row: int, count: int) -> NDArray[np.float64]:
    """The first uniforms of a row's latent: float64 [count] in (0, 1), (word + 1/2) / 2³²."""
    return np.asarray(uniforms_of_rows([seed], [row], count)[0])


def uniforms_of_rows(seeds: Sequence[int], rows: Sequence[int], count: int) -> NDArray[np.float64]:
    """The `uniforms` of n rows, each with its own seed: float64 [n, count]."""
    return (words_of_rows(seeds, rows, Purpose.LATENT, 0, count).astype(np.float64) + 0.5) * 2.0**-32


def choice(seed: int, row: int, options: int) -> int:
    """One of `options` (at most 2³²) equally likely numbers from zero up: the row's word times options, upper half."""
    return int(choices([seed], [row], options)[0])


def choices(seeds: Sequence[int], rows: Sequence[int], options: int) -> NDArray[np.int64]:
    """The `choice` of n rows, each with its own seed: int64 [n]."""
    word = words_of_rows(seeds, rows, Purpose.CLASS, 0, 1)[:, 0].astype(np.uint64)
    return (word * np.uint64(options) >> HALF).astype(np.int64)


def _mix(key: NDArray[np.uint64], even: NDArray[np.uint64], odd: NDArray[np.uint64]) -> NDArray[np.uint32]:
    """The rounds: key [2, …] and lanes [2, …, n], broadcast against each other, → uint32 […, n, 4]."""
    shape = (2, *(1,) * (even.ndim - 1))
    multipliers = np.array(MULTIPLIERS, dtype=np.uint64).reshape(shape)
    weyl = np.arange(ROUNDS, dtype=np.uint64)[:, None] * np.array(WEYL, dtype=np.uint64)
    for round_key in (key + weyl.reshape(ROUNDS, *shape)) & WORD:
        product = even * multipliers
        even = (product >> HALF)[::-1] ^ odd ^ round_key
        odd = (product & WORD)[::-1]
    mixed = np.empty((*even.shape[1:], 4), dtype=np.uint32)
    for lane in range(2):
        mixed[..., 2 * lane], mixed[..., 2 * lane + 1] = even[lane], odd[lane]
    return mixed

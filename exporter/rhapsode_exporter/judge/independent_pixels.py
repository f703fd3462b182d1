"""The baseline of all picture models: a class, then every pixel by itself."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


def draw(images: Floats, labels: NDArray[np.int64] | None, count: int, seed: int) -> Floats:
    """`count` pictures [count, C, H, W] by naive Bayes, fitted to pictures [N, C, H, W] with their classes [N], if any.

    The classes stand in turn; given the class, no pixel knows of the others. A grey pixel in [0, 1] is white as often
    as its mean says and black else, as in the usual naive Bayes of black and white (drawn from the greys of real
    pictures instead, digits are further from real ones by their Fréchet distance); one in colour takes that of one of
    the class's pictures at random.
    """
    chance = np.random.default_rng(seed)
    kinds = np.zeros(len(images), np.int64) if labels is None else labels
    classes = np.unique(kinds)
    made = np.empty((count, *images.shape[1:]), np.float32)
    pixels = _black_or_white if images.shape[1] == 1 else _in_colour
    for place, kind in enumerate(classes):
        turn = slice(place, None, len(classes))
        made[turn] = pixels(images[kinds == kind], len(made[turn]), chance)
    return made


def _black_or_white(images: Floats, count: int, chance: np.random.Generator) -> Floats:
    uniform = chance.random((count, *images.shape[1:]), dtype=np.float32)
    white: NDArray[np.bool_] = uniform < images.mean(axis=0)
    return white.astype(np.float32)


def _in_colour(images: Floats, count: int, chance: np.random.Generator) -> Floats:
    height, width = images.shape[2:]
    sources = chance.integers(len(images), size=(count, height, width))
    rows, columns = np.mgrid[:height, :width]
    return images[sources, :, rows, columns].transpose(0, 3, 1, 2)

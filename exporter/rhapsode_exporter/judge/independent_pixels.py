"""The baseline of all picture models: a class, then every pixel by itself."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


def draw(images: Floats, labels: NDArray[np.int64] | None, count: int, seed: int) -> Floats:
    """`count` pictures [count, C, H, W] by naive Bayes, fitted to pictures [N, C, H, W] with their classes [N], if any.

    The classes stand in turn; given the class, every pixel takes its value from one of the class's pictures at random,
    whatever the other pixels do. So each pixel is distributed exactly as in the data, which makes the baseline
    stronger than one of per-pixel means or normals, and all that it lacks is how pixels hang together.
    """
    chance = np.random.default_rng(seed)
    kinds = np.zeros(len(images), np.int64) if labels is None else labels
    classes = np.unique(kinds)
    _, channels, height, width = images.shape
    made = np.empty((count, channels, height, width), np.float32)
    rows, columns = np.mgrid[:height, :width]
    for place, kind in enumerate(classes):
        turn = slice(place, None, len(classes))
        own = images[kinds == kind]
        sources = chance.integers(len(own), size=(len(made[turn]), height, width))
        made[turn] = own[sources, :, rows, columns].transpose(0, 3, 1, 2)
    return made

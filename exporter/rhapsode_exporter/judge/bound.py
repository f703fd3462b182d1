"""The evidence lower bound of an autoencoder whose pixels are normal around the decoder's picture."""

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


def log_density(images: Floats, means: Floats, deviation: float) -> NDArray[np.float64]:
    """Log-density [N] in nats of pictures [N, …] under independent normals of this deviation around the means."""
    size = math.prod(images.shape[1:])
    squares: NDArray[np.float64] = np.square(images.astype(np.float64) - means).reshape(len(images), -1).sum(axis=1)
    return -squares / (2 * deviation**2) - size * math.log(deviation * math.sqrt(2 * math.pi))


def divergence(mean: Floats, log_variance: Floats) -> NDArray[np.float64]:
    """Kullback–Leibler divergence [N] in nats of diagonal normals [N, D] from the standard normal."""
    mean, log_variance = mean.astype(np.float64), log_variance.astype(np.float64)
    summands: NDArray[np.float64] = np.square(mean) + np.exp(log_variance) - 1.0 - log_variance
    return np.asarray(0.5 * summands.sum(axis=1))


def lower_bound(
    images: Floats, decoded: Floats, mean: Floats, log_variance: Floats, deviation: float
) -> NDArray[np.float64]:
    """The bound [N] on the log-density of pictures, in nats (Kingma & Welling 2014).

    `decoded` are the pictures of latents drawn from the encoder's normals, one for each: the reconstruction term is
    sampled, the divergence exact.
    """
    return log_density(images, decoded, deviation) - divergence(mean, log_variance)

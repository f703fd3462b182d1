"""Pictures that a denoiser finds in noise, by DDIM (Song et al. 2021)."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rhapsode.v1.bundle_pb2 import DiffusionSpec, GraphRole, ImageSpec
from rhapsode_exporter.bundle.onnx_runtime import Tensors
from rhapsode_exporter.sampling.opened import Opened

Pictures = NDArray[np.float32]
Classes = NDArray[np.int64]
Predict = Callable[[Pictures, NDArray[np.float32], Classes | None], Pictures]
"""(noisy pictures [N, C, H, W], time [N], classes [N] or None) → the noise in them [N, C, H, W]."""


@dataclass(frozen=True, slots=True)
class Way:
    """How noise is taken away: the training's signal, steps, guidance, the pixel values of black and white."""

    signal: NDArray[np.float64]
    steps: int
    guidance: float
    low: float
    high: float

    @classmethod
    def of(cls, diffusion: DiffusionSpec, image: ImageSpec) -> "Way":
        """The way that a bundle declares where a request does not say."""
        signal = np.array(diffusion.signal)
        return cls(signal, diffusion.default_steps, diffusion.default_guidance or 1.0, image.low, image.high)

    def times(self) -> NDArray[np.int64]:
        """The training steps that are visited, last first; evenly spaced, the last of all always among them."""
        return len(self.signal) * np.arange(self.steps, 0, -1) // self.steps - 1


def pictures(bundle: Opened, count: int, seed: int) -> Pictures:
    """`count` pictures [count, C, H, W] in the model's range; its classes, where it has any, in turn."""
    manifest = bundle.manifest
    image = manifest.image
    noise = np.random.default_rng(seed).standard_normal((count, image.channels, image.height, image.width))
    classes = np.arange(count) % len(manifest.classes) if manifest.classes else None

    def predict(noisy: Pictures, time: NDArray[np.float32], asked: Classes | None) -> Pictures:
        inputs: Tensors = {"image": noisy, "time": time} | ({} if asked is None else {"class_id": asked})
        return bundle.run(GraphRole.GRAPH_ROLE_DENOISE, inputs)["noise"].astype(np.float32)

    return ddim(predict, Way.of(manifest.diffusion, image), noise.astype(np.float32), classes, len(manifest.classes))


def ddim(predict: Predict, way: Way, noise: Pictures, classes: Classes | None, none: int) -> Pictures:
    """The pictures [N, C, H, W] that lie in noise of the same shape; `none` is the id that stands for no class."""
    noisy, times = noise, way.times()
    for time, after in zip(times, [*times[1:], -1], strict=True):
        found = _guided(predict, way, noisy, np.full(len(noise), time, np.float32), classes, none)
        signal, left = way.signal[time], way.signal[after] if after >= 0 else 1.0
        clean = np.clip((noisy - np.sqrt(1.0 - signal) * found) / np.sqrt(signal), way.low, way.high)
        found = (noisy - np.sqrt(signal) * clean) / np.sqrt(1.0 - signal)  # of the picture as it was cut off
        noisy = (np.sqrt(left) * clean + np.sqrt(1.0 - left) * found).astype(np.float32)
    return noisy


def _guided(
    predict: Predict, way: Way, noisy: Pictures, time: NDArray[np.float32], classes: Classes | None, none: int
) -> Pictures:
    """The noise, moved away from that of no class (Ho & Salimans 2022)."""
    asked = predict(noisy, time, classes)
    if classes is None or way.guidance == 1.0:
        return asked
    free = predict(noisy, time, np.full_like(classes, none))
    return free + np.float32(way.guidance) * (asked - free)

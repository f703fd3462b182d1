"""Diffusion in one process, up to 64 pictures in step with each other: what a server's cost is held against."""

import numpy as np
from benchmarks.bundles import Opened
from benchmarks.cases import Case
from numpy.typing import NDArray

from rhapsode_server.runtime.providers import Runtime

_ROWS_A_RUN = 64

Floats = NDArray[np.float32]


class DenoiseLoop:
    """Noise as numpy draws it, DDIM with the model's own steps and guidance, and each picture's bytes."""

    def __init__(self, bundle: Opened, runtime: Runtime) -> None:
        manifest = bundle.manifest
        spec, self._image, self._classes = manifest.diffusion, manifest.image, len(manifest.classes)
        self._guidance = np.float32(spec.default_guidance or 1.0)
        self._signal = np.array(spec.signal)
        self._times = spec.training_steps * np.arange(spec.default_steps, 0, -1) // spec.default_steps - 1
        self._session = runtime.session(bundle.graph)

    def make(self, case: Case, seed: int) -> None:
        """All pictures of a case."""
        generator = np.random.Generator(np.random.PCG64(seed))
        image, left = self._image, case.requests * case.items
        while left > 0:
            rows = min(left, _ROWS_A_RUN)
            noisy = generator.standard_normal((rows, image.channels, image.height, image.width), np.float32)
            classes = generator.integers(max(1, self._classes), size=rows)
            for picture in self._denoised(noisy, classes):
                picture.tobytes()
            left -= rows

    def _denoised(self, noisy: Floats, classes: NDArray[np.int64]) -> Floats:
        signals = np.append(self._signal[self._times], 1.0)
        for step, time in enumerate(self._times):
            signal, after = signals[step], signals[step + 1]
            found = self._found(noisy, np.full(len(noisy), time, np.float32), classes)
            clean = noisy * np.float32(1 / np.sqrt(signal)) - found * np.float32(np.sqrt((1 - signal) / signal))
            clean = clean.clip(np.float32(self._image.low), np.float32(self._image.high))
            keep = np.sqrt((1 - after) / (1 - signal))
            noisy = clean * np.float32(np.sqrt(after) - keep * np.sqrt(signal)) + noisy * np.float32(keep)
        return noisy

    def _found(self, noisy: Floats, time: Floats, classes: NDArray[np.int64]) -> Floats:
        if not self._classes or self._guidance == 1:
            feeds = {"image": noisy, "time": time} | ({"class_id": classes} if self._classes else {})
            return np.asarray(self._session.run(feeds)["noise"])
        both = {
            "image": np.concatenate([noisy, noisy]),
            "time": np.concatenate([time, time]),
            "class_id": np.append(classes, np.full_like(classes, self._classes)),
        }
        asked, free = np.split(self._session.run(both)["noise"], 2)
        return np.asarray(free + self._guidance * (asked - free))

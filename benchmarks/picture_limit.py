"""Pictures in one process, up to 64 latents a run: what a server's cost is held against."""

from io import BytesIO
from typing import Any

import numpy as np
from benchmarks.bundles import Opened
from benchmarks.cases import Case
from numpy.typing import NDArray
from PIL import Image

from rhapsode_server.runtime.providers import Runtime

_ROWS_A_RUN = 64


class DecodeLoop:
    """Latents, and classes where there are any, as numpy draws them; a run for up to 64, and each picture's bytes."""

    def __init__(self, bundle: Opened, runtime: Runtime) -> None:
        self._latent = bundle.manifest.latent.size
        self._classes = len(bundle.manifest.classes)
        self._low, self._high = bundle.manifest.image.low, bundle.manifest.image.high
        self._session = runtime.session(bundle.graph)

    def make(self, case: Case, seed: int) -> None:
        """All pictures of a case."""
        generator = np.random.Generator(np.random.PCG64(seed))
        left = case.requests * case.items
        while left > 0:
            rows = min(left, _ROWS_A_RUN)
            feeds: dict[str, NDArray[Any]] = {"latent": generator.standard_normal((rows, self._latent), np.float32)}
            if self._classes:
                feeds["class_id"] = generator.integers(self._classes, size=rows)
            pictures = self._session.run(feeds)["image"].transpose(0, 2, 3, 1)
            for picture in pictures:
                self._file(picture) if case.form == "png" else picture.tobytes()
            left -= rows

    def _file(self, picture: NDArray[np.float32]) -> bytes:
        unit = (picture - self._low) / (self._high - self._low)
        pixels = np.rint(unit.clip(0.0, 1.0) * 255.0).astype(np.uint8)
        file = BytesIO()
        Image.fromarray(pixels.squeeze()).save(file, "PNG")
        return file.getvalue()

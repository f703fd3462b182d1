"""A user's own folder of pictures, cut to squares of one size."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from rhapsode_exporter.errors import DataUnavailableError

FEWEST = 100
# What Pillow raises for files that are no pictures, are cut off, or would unpack to absurd sizes.
_UNREADABLE = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)


def load_own(folder: Path, side: int, channels: int) -> NDArray[np.uint8]:
    """All pictures under a folder by path, uint8 [N, side, side, channels]; other files are skipped.

    Each is cropped to its central square and scaled. Raises DataUnavailableError where there are fewer than FEWEST.
    """
    mode = "L" if channels == 1 else "RGB"
    pictures = [picture for path in sorted(folder.rglob("*")) if (picture := _read(path, side, mode)) is not None]
    if len(pictures) < FEWEST:
        raise DataUnavailableError(f"{folder} holds {len(pictures)} readable pictures; at least {FEWEST} are needed")
    return np.stack(pictures).reshape(-1, side, side, channels)


def _read(path: Path, side: int, mode: str) -> NDArray[np.uint8] | None:
    if not path.is_file():
        return None
    try:
        with Image.open(path) as picture:
            return np.asarray(ImageOps.fit(picture.convert(mode), (side, side)))
    except _UNREADABLE:
        return None

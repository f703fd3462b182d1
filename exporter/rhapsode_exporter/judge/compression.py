"""What pictures cost as codes, and as the files that anybody would use instead."""

import io
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass

import constriction
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from rhapsode_exporter.judge.pictures import mean_psnr
from rhapsode_exporter.run.sheets import to_bytes

TOTAL = 1 << 24  # what the frequencies of each number of a code sum to, as rule C3 of docs/bundle.md has it
PAYLOAD_OVERHEAD = 14  # bytes of a server's payload beside the code itself: magic, version, mark, length, checksum
QUALITIES = range(101)


def frequencies(codes: NDArray[np.int64], reach: int) -> NDArray[np.int32]:
    """How often each value is met in codes [N, D], int32 [D, 2 reach + 1], at least 1 each, TOTAL in each row.

    One is added to every count (Laplace), the rest is scaled in whole numbers, and what is left over goes to the
    commonest value, so that the table is the same wherever it is made.
    """
    values = np.arange(-reach, reach + 1)
    counts = (codes[:, :, None] == values).sum(axis=0, dtype=np.int64) + 1
    scaled = np.maximum(1, counts * TOTAL // counts.sum(axis=1, keepdims=True))
    rows = np.arange(len(scaled))
    scaled[rows, scaled.argmax(axis=1)] += TOTAL - scaled.sum(axis=1)
    table: NDArray[np.int32] = scaled.astype(np.int32)
    return table


def payload_bytes(codes: NDArray[np.int64], table: NDArray[np.int32]) -> int:
    """Bytes of all payloads of codes [N, D] together, a payload each, as a server with this table makes them."""
    family = constriction.stream.model.Categorical(perfect=False)
    reach = table.shape[1] // 2
    total = 0
    for code in np.clip(codes, -reach, reach):
        coder = constriction.stream.queue.RangeEncoder()
        coder.encode((code + reach).astype(np.int32), family, table / TOTAL)
        total += PAYLOAD_OVERHEAD + 4 * len(coder.get_compressed())
    return total


@dataclass(frozen=True, slots=True)
class Rival:
    """The smallest file of a format that is as good as asked: its size, and in words what it is."""

    size: int
    words: str


class Sheet:
    """Pictures [N, 3, H, W] in [0, 1] tiled into one, as files may have them, so that they pay for one header."""

    def __init__(self, pictures: torch.Tensor, columns: int = 40) -> None:
        self._columns = columns
        self._pictures = pictures[: len(pictures) // columns * columns or 1]
        tiles = to_bytes(self._pictures, 0.0, 1.0)
        self._image = Image.fromarray(_tile(tiles, min(columns, len(tiles))))

    @property
    def pictures(self) -> torch.Tensor:
        """Those on the sheet: as many as fill its rows."""
        return self._pictures

    def palette_png(self, wanted: float) -> Rival:
        """A PNG of the fewest colours at which the mean ratio is `wanted` dB or better."""
        sizes = range(2, 257)
        best = bisect_left(sizes, wanted, key=lambda count: self._psnr(self._palette(count)))
        count = sizes[min(best, len(sizes) - 1)]
        return Rival(len(self._palette(count)), f"PNG with a palette of {count} colours")

    def webp(self, wanted: float) -> Rival:
        """A WebP of the lowest quality at which the mean ratio is as wanted, or the lossless one if that is smaller."""
        lossless = Rival(len(self._file("WEBP", lossless=True, quality=100, method=6)), "lossless WebP")
        lossy = self._lowest("WebP", wanted, lambda quality: self._file("WEBP", quality=quality, method=6))
        return min(lossless, lossy or lossless, key=lambda rival: rival.size)

    def jpeg(self, wanted: float) -> Rival:
        """A JPEG of the lowest quality at which the mean ratio is as wanted, with or without subsampled colours."""
        found = [self._lowest("JPEG", wanted, lambda quality, s=s: self._jpeg(quality, s)) for s in (0, 2)]  # type: ignore[misc]
        best = Rival(len(self._jpeg(100, 0)), "JPEG at quality 100, which is worse")
        return min((one for one in found if one), key=lambda rival: rival.size, default=best)

    def _lowest(self, name: str, wanted: float, write: Callable[[int], bytes]) -> Rival | None:
        quality = bisect_left(QUALITIES, wanted, key=lambda each: self._psnr(write(each)))
        return Rival(len(write(quality)), f"{name} at quality {quality}") if quality < len(QUALITIES) else None

    def _palette(self, count: int) -> bytes:
        reduced = self._image.quantize(count, dither=Image.Dither.NONE)
        file = io.BytesIO()
        reduced.save(file, "PNG", optimize=True)
        return file.getvalue()

    def _jpeg(self, quality: int, subsampling: int) -> bytes:
        settings = {"quality": max(1, quality), "subsampling": subsampling}
        try:
            return self._file("JPEG", optimize=True, **settings)
        except OSError:  # Pillow's buffer for optimised files holds a byte a pixel, which high qualities outgrow
            return self._file("JPEG", **settings)

    def _file(self, form: str, **settings: bool | int) -> bytes:
        file = io.BytesIO()
        self._image.save(file, form, **settings)
        return file.getvalue()

    def _psnr(self, file: bytes) -> float:
        read = np.asarray(Image.open(io.BytesIO(file)).convert("RGB"))
        height, width = self._pictures.shape[2:]
        tiles = read.reshape(read.shape[0] // height, height, read.shape[1] // width, width, 3).swapaxes(1, 2)
        found = torch.from_numpy(tiles.reshape(-1, height, width, 3).copy()).permute(0, 3, 1, 2).float() / 255
        return mean_psnr(found, self._pictures)


def _tile(tiles: NDArray[np.uint8], columns: int) -> NDArray[np.uint8]:
    """Pictures [N, H, W, C] side by side in rows of `columns`, [rows · H, columns · W, C]."""
    count, height, width, channels = tiles.shape
    grid = tiles.reshape(count // columns, columns, height, width, channels).swapaxes(1, 2)
    return grid.reshape(count // columns * height, columns * width, channels)

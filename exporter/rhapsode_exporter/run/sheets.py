"""Contact sheets: many small pictures on one PNG."""

import io
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

GAP = 1
COLUMNS = 10


def to_bytes(images: Tensor, low: float, high: float) -> NDArray[np.uint8]:
    """Pictures [N, C, H, W] in [low, high] as bytes [N, H, W, C], rounded to nearest."""
    unit = (images.detach().float() - low) / (high - low)
    return unit.clamp(0.0, 1.0).mul(255.0).round().byte().permute(0, 2, 3, 1).contiguous().numpy()


def contact_sheet(pictures: NDArray[np.uint8], columns: int, scale: int) -> Image.Image:
    """Pictures [N, H, W, C], row after row with a thin gap, each pixel enlarged to scale × scale."""
    if not len(pictures):
        raise ValueError("a contact sheet needs at least one picture")
    count, height, width, channels = pictures.shape
    rows = -(-count // columns)
    sheet = np.full((rows * (height + GAP) + GAP, columns * (width + GAP) + GAP, channels), 127, dtype=np.uint8)
    for index, picture in enumerate(pictures):
        top = GAP + index // columns * (height + GAP)
        left = GAP + index % columns * (width + GAP)
        sheet[top : top + height, left : left + width] = picture
    image = Image.fromarray(sheet[:, :, 0] if channels == 1 else sheet)
    return image.resize((image.width * scale, image.height * scale), Image.Resampling.NEAREST)


def beside(*groups: Tensor, columns: int = COLUMNS) -> Tensor:
    """Groups of as many pictures [N, C, H, W] each, for a sheet: a row of the first, below it that of the second…"""
    rows = zip(*(torch.split(group, columns) for group in groups), strict=True)
    return torch.cat([row for together in rows for row in together])


def png_sheet(images: Tensor, low: float, high: float, columns: int = COLUMNS, scale: int = 3) -> bytes:
    """Pictures [N, C, H, W] in [low, high] as a contact sheet, the bytes of a PNG file."""
    file = io.BytesIO()
    contact_sheet(to_bytes(images, low, high), columns, scale).save(file, "PNG", optimize=True)
    return file.getvalue()


def write_sheet(images: Tensor, low: float, high: float, path: Path) -> None:
    """Pictures [N, C, H, W] in [low, high] as a contact sheet in a PNG file."""
    path.write_bytes(png_sheet(images, low, high))

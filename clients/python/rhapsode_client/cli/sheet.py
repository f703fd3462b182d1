"""A labelled contact sheet of pictures."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

BACKGROUND = "#ffffff"
INK = "#404040"
GAP = 6  # pixels between pictures
FONT_SIZE = 11
LINE = 15  # pixels for a line of text
HEIGHT = 96  # of a scaled picture, about, where no scale is given


@dataclass(frozen=True, slots=True)
class Labelled:
    """A picture and the words under it."""

    picture: Image.Image
    label: str


def scaled(picture: Image.Image, scale: int | None) -> Image.Image:
    """The picture with every pixel a square of `scale`; None gives about HEIGHT rows, and never fewer than it has."""
    factor = max(1, round(HEIGHT / picture.height)) if scale is None else scale
    size = (picture.width * factor, picture.height * factor)
    return picture.convert("RGB").resize(size, Image.Resampling.NEAREST)


def contact_sheet(pictures: Sequence[Labelled], heading: str, columns: int | None, scale: int | None) -> Image.Image:
    """All pictures in rows, `columns` wide (None: about a square), under a heading. At least one picture."""
    cells = [Labelled(scaled(entry.picture, scale), entry.label) for entry in pictures]
    across = min(columns or math.ceil(math.sqrt(len(cells))), len(cells))
    font = ImageFont.load_default(FONT_SIZE)
    words = max(font.getlength(entry.label) for entry in cells)
    width = max(math.ceil(words), max(entry.picture.width for entry in cells)) + GAP
    height = max(entry.picture.height for entry in cells) + LINE + GAP
    rows = math.ceil(len(cells) / across)
    total = max(across * width, math.ceil(font.getlength(heading)) + GAP) + GAP
    sheet = Image.new("RGB", (total, rows * height + LINE + 2 * GAP), BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    draw.text((GAP, GAP), heading, fill=INK, font=font)
    for index, entry in enumerate(cells):
        left, top = GAP + index % across * width, LINE + 2 * GAP + index // across * height
        sheet.paste(entry.picture, (left, top))
        draw.text((left, top + entry.picture.height + 1), entry.label, fill=INK, font=font)
    return sheet

"""A melody as a piano roll."""

import math
from typing import TypeAlias

from PIL import Image, ImageDraw, ImageFont

from rhapsode_client.music.melody import Melody

BACKGROUND, BLACK_KEY, LINE, INK, NOTE = "#ffffff", "#f0f0f3", "#c8c8d0", "#404040", "#2f6db3"
Font: TypeAlias = ImageFont.FreeTypeFont | ImageFont.ImageFont
NAMES = ("C", "", "D", "", "E", "F", "", "G", "", "A", "", "B")  # of an octave's white keys
ROW = 10  # pixels of a pitch
FONT_SIZE = 10
LEFT, TOP, BOTTOM, RIGHT = 52, 26, 36, 12  # pixels round the roll
WIDEST = 1600  # pixels of a roll, about
QUARTER = 28.0  # pixels of a quarter note, at most
NUMBER = 26  # pixels that a bar's number takes, at least


def piano_roll(melody: Melody, title: str) -> Image.Image:
    """Time to the right with the bars' numbers below, pitch upward with the names of the white keys to the left."""
    low = min(note.pitch for note in melody.notes) - 2
    high = max(note.pitch for note in melody.notes) + 2
    across = min(QUARTER, WIDEST / melody.length)
    width, height = math.ceil(melody.length * across), (high - low + 1) * ROW
    image = Image.new("RGB", (LEFT + width + RIGHT, TOP + height + BOTTOM), BACKGROUND)
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(FONT_SIZE)
    draw.text((LEFT, 6), title, fill=INK, font=font)
    for pitch in range(low, high + 1):
        _key(draw, font, pitch, TOP + (high - pitch) * ROW, LEFT + width)
    _bars(draw, font, melody, across, TOP + height)
    for note in melody.notes:
        left, top = LEFT + note.start * across, TOP + (high - note.pitch) * ROW
        right = max(left + 1, left + note.length * across - 1)
        draw.rectangle((left, top + 1, right, top + ROW - 2), fill=NOTE)
    draw.text((LEFT + width / 2, TOP + height + 18), "bar", fill=INK, font=font)
    image.paste(_upright("pitch", font), (4, TOP + height // 2 - 16))
    return image


def _key(draw: ImageDraw.ImageDraw, font: Font, pitch: int, top: int, right: int) -> None:
    name = NAMES[pitch % 12]
    if name:
        draw.text((LEFT - 5, top + ROW / 2), f"{name}{pitch // 12 - 1}", fill=INK, font=font, anchor="rm")
    else:
        draw.rectangle((LEFT, top, right, top + ROW - 1), fill=BLACK_KEY)


def _bars(draw: ImageDraw.ImageDraw, font: Font, melody: Melody, across: float, bottom: int) -> None:
    """A line before each bar, and its number where there is room."""
    free = 0.0
    for number, start in enumerate(melody.bars, 1):
        left = LEFT + start * across
        draw.line((left, TOP, left, bottom), fill=LINE)
        if left >= free:
            draw.text((left, bottom + 4), str(number), fill=INK, font=font)
            free = left + NUMBER


def _upright(words: str, font: Font) -> Image.Image:
    """Words that run upward."""
    label = Image.new("RGB", (math.ceil(font.getlength(words)) + 4, FONT_SIZE + 4), BACKGROUND)
    ImageDraw.Draw(label).text((2, 0), words, fill=INK, font=font)
    return label.transpose(Image.Transpose.ROTATE_90)

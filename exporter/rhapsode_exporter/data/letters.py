"""Letters of matplotlib's fonts, as pictures that are like digits but are none."""

from pathlib import Path

import matplotlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

SIDE = 28
POINTS = 20  # so that capitals are about as tall as MNIST's digits
# Those that pass for a digit in one of the faces are left out: B, D, I, J, O, Q, S, Z, b, g, i, j, l, o, q, s, z.
LETTERS = "ACEFGHKLMNPRTUVWXYacdefhkmnprtuvwxy"
FACES = "DejaVu{kind}.ttf", "DejaVu{kind}-*.ttf"  # in four styles each, under Bitstream Vera's licence
KINDS = "Sans", "SansMono", "Serif"


def draw() -> NDArray[np.uint8]:
    """Every letter in every face, ink 255: uint8 [N, 28, 28]."""
    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    files = sorted(path for kind in KINDS for face in FACES for path in folder.glob(face.format(kind=kind)))
    fonts = [ImageFont.truetype(path, POINTS) for path in files]
    return np.stack([_picture(letter, font) for font in fonts for letter in LETTERS])


def _picture(letter: str, font: ImageFont.FreeTypeFont) -> NDArray[np.uint8]:
    picture = Image.new("L", (SIDE, SIDE))
    ImageDraw.Draw(picture).text((SIDE / 2, SIDE / 2), letter, font=font, fill=255, anchor="mm")
    return np.asarray(picture)

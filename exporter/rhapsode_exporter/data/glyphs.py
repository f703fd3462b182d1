"""Letters and digits of the DejaVu typefaces that matplotlib carries, each without and with bold."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.ft2font import FT2Font
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

SIDE, POINTS = 28, 20
# The file of each face and that of its bold.
FACES = (
    ("DejaVuSans", "DejaVuSans-Bold"),
    ("DejaVuSans-Oblique", "DejaVuSans-BoldOblique"),
    ("DejaVuSansMono", "DejaVuSansMono-Bold"),
    ("DejaVuSansMono-Oblique", "DejaVuSansMono-BoldOblique"),
    ("DejaVuSerif", "DejaVuSerif-Bold"),
    ("DejaVuSerif-Italic", "DejaVuSerif-BoldItalic"),
)
# One look in this many is held out, and another validates; the cut never changes, whatever the seed of a training run.
SHARE = 10
SPLIT_SEED = 20170725


# The pictures of all characters in one face, without and with bold.
Drawn = tuple[NDArray[np.uint8], NDArray[np.uint8]]


@dataclass(frozen=True, slots=True)
class Glyphs:
    """Grey pictures uint8 [N, 28, 28], ink 255: the same letters without and with bold."""

    plain: NDArray[np.uint8]
    bold: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.plain)


@dataclass(frozen=True, slots=True)
class GlyphSplit:
    """Glyphs to learn from, to watch the learning with, and for the final figures; no character is in two of them."""

    training: Glyphs
    validation: Glyphs
    held_out: Glyphs


def load() -> GlyphSplit:
    """All faces' glyphs of every character that all of them have, cut by what a character looks like.

    Characters that look alike (a Latin, a Greek and a Cyrillic capital A) stay together, and a picture that is in
    the training part all the same, in another face, is left out of the others: nothing is held out that was seen.
    """
    characters = _characters()
    drawn = [(_draw(plain, characters), _draw(bold, characters)) for plain, bold in FACES]
    place = _looks(drawn[0][0])
    validation, held_out = place == 1, place == 0
    training = _take(drawn, ~validation & ~held_out)
    seen = {picture.tobytes() for picture in training.plain}
    return GlyphSplit(training, _take(drawn, validation, seen), _take(drawn, held_out, seen))


def _take(drawn: Sequence[Drawn], rows: NDArray[np.bool_], seen: Collection[bytes] = ()) -> Glyphs:
    """The glyphs of some characters in all faces; a picture that two faces share stands once, one that was seen not."""
    plain, bold = (np.concatenate([side[rows] for side in sides]) for sides in zip(*drawn, strict=True))
    _, first = np.unique(plain.reshape(len(plain), -1), axis=0, return_index=True)
    kept = [place for place in np.sort(first) if plain[place].tobytes() not in seen]
    return Glyphs(plain[kept], bold[kept])


def _looks(pictures: NDArray[np.uint8]) -> NDArray[np.int64]:
    """For each character a number below SHARE, the same for those whose pictures are the same."""
    _, look = np.unique(pictures.reshape(len(pictures), -1), axis=0, return_inverse=True)
    shuffled: NDArray[np.int64] = np.random.default_rng(SPLIT_SEED).permutation(look.max() + 1) % SHARE
    return shuffled[look]


def _characters() -> str:
    common = set.intersection(*(set(FT2Font(str(_file(name))).get_charmap()) for name in _names()))
    return "".join(character for character in map(chr, sorted(common)) if character.isalnum())


def _draw(name: str, characters: str) -> NDArray[np.uint8]:
    font = ImageFont.truetype(_file(name), POINTS, layout_engine=ImageFont.Layout.BASIC)
    pictures: list[NDArray[np.uint8]] = []
    for character in characters:
        picture = Image.new("L", (SIDE, SIDE))
        ImageDraw.Draw(picture).text((SIDE // 2, SIDE // 2), character, font=font, fill=255, anchor="mm")
        pictures.append(np.asarray(picture))
    return np.stack(pictures)


def _names() -> Iterator[str]:
    return (name for pair in FACES for name in pair)


def _file(name: str) -> Path:
    return Path(mpl.get_data_path()) / "fonts" / "ttf" / f"{name}.ttf"

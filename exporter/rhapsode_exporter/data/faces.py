"""Pixel-art faces: DiceBear's style "pixel-art" (CC0 1.0), one 16×16 picture with its parts for every seed.

Two things differ from DiceBear's own pictures, so that a face shows what its label says. Beards are as opaque as drawn:
the style shades them by the brightness of the hair, which makes every dark beard transparent. And a beard that can
hardly be told from the skin below it (four pixels on the chin, brown on brown) is left out.
"""

import hashlib
import io
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import resvg_py
from dicebear import Avatar, Style
from numpy.typing import NDArray
from PIL import Image

SIDE = 16
# Per cent of faces that wear each part; DiceBear's own defaults are too rare to learn an attribute from. Of the beards,
# half remain once those that do not show are left out.
OPTIONS = MappingProxyType({"glassesProbability": 50, "hatProbability": 50, "beardProbability": 68})
# A beard shows where at least so many pixels differ by more than so many levels from the face without it.
BEARD_PIXELS, BEARD_LEVELS = 8, 32
PARTS = ("accessories", "beard", "clothes", "eyes", "glasses", "hair", "hat", "mouth")
PART = re.compile(r'<g id="([A-Za-z]+)-([A-Za-z0-9]+)-[0-9a-f]{8}"')


@dataclass(frozen=True)
class Faces:
    """Colour pictures uint8 [N, 16, 16, 3] with the variants of their PARTS, text [N, 8], "" where a part is absent."""

    images: NDArray[np.uint8]
    variants: NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.images)

    def take(self, rows: slice) -> "Faces":
        """The faces of these rows."""
        return Faces(self.images[rows], self.variants[rows])

    def has(self, part: str, prefix: str = "") -> NDArray[np.bool_]:
        """Which faces [N] wear a part, of a kind whose name begins with the prefix ("hair", "long")."""
        column = self.variants[:, PARTS.index(part)]
        worn: NDArray[np.bool_] = (column != "") & np.char.startswith(column, prefix)
        return worn


@dataclass(frozen=True)
class FaceSplit:
    """Faces for training, for the stop rule, and for the final figures; cut by DiceBear seed."""

    training: Faces
    validation: Faces
    held_out: Faces


def split(faces: Faces, validation: int, held_out: int) -> FaceSplit:
    """The last seeds are held out, those before them validate, the rest train."""
    if validation + held_out >= len(faces):
        raise ValueError(f"{len(faces)} faces cannot give {validation} for validation and {held_out} held out")
    end = len(faces) - held_out
    start = end - validation
    return FaceSplit(faces.take(slice(0, start)), faces.take(slice(start, end)), faces.take(slice(end, None)))


def load(count: int, cache: Path) -> Faces:
    """The faces of the seeds 0 … count−1; drawn once, then read from a file in the cache folder."""
    path = cache / f"pixel-art-{count}-{_recipe()}.npz"
    if path.exists():
        with np.load(path) as stored:
            return Faces(stored["images"], stored["variants"])
    faces = draw(range(count))
    cache.mkdir(parents=True, exist_ok=True)
    # Written beside, then renamed: a run that is killed leaves no half file behind.
    partial = path.with_suffix(".partial.npz")
    np.savez_compressed(partial, images=faces.images, variants=faces.variants)
    partial.replace(path)
    return faces


def draw(seeds: Iterable[int], options: Mapping[str, Any] = MappingProxyType({})) -> Faces:
    """The faces of these seeds, about 2 ms each; `options` of DiceBear replace ours.

    Parts are chosen independently: with another option for one, a seed keeps the others.
    """
    style = Style(json.loads(_style()))
    images: list[NDArray[np.uint8]] = []
    variants: list[list[str]] = []
    for seed in seeds:
        image, parts = _face(style, {"seed": str(seed), **OPTIONS, **options})
        images.append(image)
        variants.append([parts.get(part, "") for part in PARTS])
    return Faces(np.stack(images), np.array(variants, dtype="<U16"))


def _style() -> str:
    """The artist's file, its masks read by their opacity."""
    text = files("dicebear_styles").joinpath("pixel-art.json").read_text("utf-8")
    return text.replace("mask-type:luminance", "mask-type:alpha")


def _face(style: Style, options: Mapping[str, Any]) -> tuple[NDArray[np.uint8], dict[str, str]]:
    """The picture and its parts; without the beard where that does not show."""
    image, parts = _picture(style, options)
    if "beard" in parts:
        shaven, others = _picture(style, {**options, "beardProbability": 0})
        change = np.abs(image.astype(np.int16) - shaven).max(axis=2)
        if (change > BEARD_LEVELS).sum() < BEARD_PIXELS:
            return shaven, others
    return image, parts


def _picture(style: Style, options: Mapping[str, Any]) -> tuple[NDArray[np.uint8], dict[str, str]]:
    svg = Avatar(style, dict(options)).to_string()
    png = resvg_py.svg_to_bytes(svg_string=svg, width=SIDE, height=SIDE, background="#ffffff", skip_system_fonts=True)
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")), dict(PART.findall(svg))


def _recipe() -> str:
    """Names all that decides the pixels, so that a new release of the artists' package is drawn afresh."""
    packages = {name: version(name) for name in ("dicebear-core", "dicebear-styles", "resvg-py")}
    rules = [packages, dict(OPTIONS), BEARD_PIXELS, BEARD_LEVELS, "opaque beards"]
    return hashlib.sha256(json.dumps(rules, sort_keys=True).encode()).hexdigest()[:12]

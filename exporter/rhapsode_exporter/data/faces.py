"""Pixel-art faces: DiceBear's style "pixel-art" (CC0 1.0), one 16×16 picture with its parts for every seed."""

import hashlib
import io
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType

import numpy as np
import resvg_py
from dicebear import Avatar, Style
from numpy.typing import NDArray
from PIL import Image

SIDE = 16
# Per cent of faces that wear each part; DiceBear's own defaults are too rare to learn an attribute from.
OPTIONS = MappingProxyType({"glassesProbability": 50, "hatProbability": 50, "beardProbability": 50})
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


def draw(seeds: Iterable[int]) -> Faces:
    """The faces of these seeds, about 1.5 ms each."""
    style = Style(json.loads(files("dicebear_styles").joinpath("pixel-art.json").read_text("utf-8")))
    images: list[NDArray[np.uint8]] = []
    variants: list[list[str]] = []
    for seed in seeds:
        svg = Avatar(style, {"seed": str(seed), **OPTIONS}).to_string()
        images.append(_raster(svg))
        parts = dict(PART.findall(svg))
        variants.append([parts.get(part, "") for part in PARTS])
    return Faces(np.stack(images), np.array(variants, dtype="<U16"))


def _raster(svg: str) -> NDArray[np.uint8]:
    png = resvg_py.svg_to_bytes(svg_string=svg, width=SIDE, height=SIDE, background="#ffffff", skip_system_fonts=True)
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def _recipe() -> str:
    """Names all that decides the pixels, so that a new release of the artists' package is drawn afresh."""
    packages = {name: version(name) for name in ("dicebear-core", "dicebear-styles", "resvg-py")}
    return hashlib.sha256(json.dumps([packages, dict(OPTIONS)], sort_keys=True).encode()).hexdigest()[:12]

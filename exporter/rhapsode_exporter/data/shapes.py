"""Rendered solids: cylinders and cones of known height, radius, lean and hue, 32×32 pixels, drawn here with numpy.

The eye looks from in front and a little from above, so that a round end shows as a flat ellipse. A solid stands in the
middle of a dark picture; its axis lies in the plane of the picture and leans to the left or right. Light comes from the
upper left and falls on its sides after Lambert.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SIDE = 32
SAMPLES = 3  # across and down in a pixel, whose mean is its colour
BATCH = 256  # solids that are drawn at a time
FLATNESS = 0.3  # height of the ellipse of a round end, over its width
BACKGROUND = 0.1
# Of the solids that shapes-vae learns from; the last of them are held out.
SEED = 1
HELD_OUT = 1_000
AMBIENT = 0.35
LIGHT = (-0.55, 0.55, 0.63)  # to the right, up, towards the eye; of length 1
SATURATION = 0.8

FACTORS = ("cone", "height", "radius", "lean", "hue")
# The least and the greatest value: pixels, degrees from upright to the right, degrees of the colour circle from red on.
RANGES = ((0.0, 1.0), (12.0, 24.0), (5.0, 9.0), (-45.0, 45.0), (0.0, 150.0))

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Shapes:
    """Colour pictures uint8 [N, 32, 32, 3] with their FACTORS float32 [N, 5] in their own units; a cone is 0 or 1."""

    images: NDArray[np.uint8]
    factors: Floats

    def __len__(self) -> int:
        return len(self.images)

    def take(self, rows: slice) -> "Shapes":
        """The solids of these rows."""
        return Shapes(self.images[rows], self.factors[rows])


def draw(count: int, seed: int) -> Shapes:
    """Solids whose factors are uniform over RANGES and independent; about 0.3 ms each."""
    chance = np.random.Generator(np.random.PCG64(seed))
    low, high = np.array(RANGES, np.float32).T
    factors = (low + (high - low) * chance.random((count, len(FACTORS)), np.float32)).astype(np.float32)
    factors[:, 0] = np.round(factors[:, 0])
    parts = [render(factors[start : start + BATCH]) for start in range(0, count, BATCH)]
    return Shapes(np.concatenate(parts), factors)


def render(factors: Floats) -> NDArray[np.uint8]:
    """The pictures of factors [N, 5]: uint8 [N, 32, 32, 3]."""
    cone, height, radius, lean, hue = factors.T[:, :, None, None]
    along, across = _solid_coordinates(height, np.deg2rad(lean))
    inside, light = _shade(cone > 0.5, along, across, height, radius, np.deg2rad(lean))
    colour = _colour(hue[:, 0, 0])[:, None, None, :]
    pixels = np.where(inside[..., None], light[..., None] * colour, np.float32(BACKGROUND))
    fine = pixels.reshape(len(factors), SIDE, SAMPLES, SIDE, SAMPLES, 3).mean(axis=(2, 4))
    images: NDArray[np.uint8] = np.rint(fine * 255.0).astype(np.uint8)
    return images


def _solid_coordinates(height: Floats, lean: Floats) -> tuple[Floats, Floats]:
    """Where every sample lies, in pixels: up along the axis from the base, and to the right across it."""
    steps: Floats = ((np.arange(SIDE * SAMPLES) + 0.5) / SAMPLES - SIDE / 2).astype(np.float32)
    right, up = steps[None, None, :], -steps[None, :, None]
    along = up * np.cos(lean) + right * np.sin(lean) + height / 2
    across = right * np.cos(lean) - up * np.sin(lean)
    return along.astype(np.float32), across.astype(np.float32)


def _shade(
    cone: NDArray[np.bool_], along: Floats, across: Floats, height: Floats, radius: Floats, lean: Floats
) -> tuple[NDArray[np.bool_], Floats]:
    """Which samples the solid covers, and how bright they are."""
    middle = np.minimum(np.maximum(along, 0.0), height)
    reach = np.where(cone, radius * (1.0 - middle / height), radius)  # half of the width there
    side = (along >= 0.0) & (along <= height) & (np.abs(across) <= reach)
    base = _ellipse(along, across, radius) & (along < 0.0)
    top = ~cone & _ellipse(along - height, across, radius)
    width = np.where(along < 0.0, radius * np.sqrt(np.clip(1.0 - (along / (FLATNESS * radius)) ** 2, 0.0, 1.0)), reach)
    turned = np.clip(across / np.maximum(width, 1e-3), -1.0, 1.0)
    normal_right, normal_up, normal_near = turned * np.cos(lean), -turned * np.sin(lean), np.sqrt(1.0 - turned**2)
    lambert = LIGHT[0] * normal_right + LIGHT[1] * normal_up + LIGHT[2] * normal_near
    bright = np.where(top, 1.0, AMBIENT + (1.0 - AMBIENT) * np.clip(lambert, 0.0, 1.0))
    return side | base | top, bright.astype(np.float32)


def _ellipse(along: Floats, across: Floats, radius: Floats) -> NDArray[np.bool_]:
    inside: NDArray[np.bool_] = (across / radius) ** 2 + (along / (FLATNESS * radius)) ** 2 <= 1.0
    return inside


def _colour(hue: Floats) -> Floats:
    """Red, green and blue [N, 3] of hues in degrees, as bright as can be (the HSV cone, Smith 1978)."""
    sixths = (np.array([5.0, 3.0, 1.0], np.float32) + hue[:, None] / np.float32(60.0)) % np.float32(6.0)
    colour: Floats = 1.0 - SATURATION * np.clip(np.minimum(sixths, 4.0 - sixths), 0.0, 1.0)
    return colour

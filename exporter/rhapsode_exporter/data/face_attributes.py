"""Attributes of pixel-art faces: which faces have them, and pairs of faces that differ in one of them alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rhapsode_exporter.data.faces import Faces, draw

# A beard counts where it shows (data/faces.py); glasses and hats always do, since nothing but a mouth lies over them.
NAMES = ("glasses", "hat", "beard", "smile", "long_hair")

DESCRIPTIONS: Mapping[str, str] = MappingProxyType(
    {
        "glasses": "Puts on glasses, dark or light.",
        "hat": "Puts on a hat.",
        "beard": "Grows a beard.",
        "smile": "Turns a sad mouth into a happy one.",
        "long_hair": "Makes hair that ends above the ears fall to the shoulders.",
    }
)
_MOUTHS = {"sad": [f"sad{n:02}" for n in range(1, 11)], "happy": [f"happy{n:02}" for n in range(1, 14)]}
_HAIR = {"short": [f"short{n:02}" for n in range(1, 25)], "long": [f"long{n:02}" for n in range(1, 22)]}
# DiceBear's options that draw a face without and with an attribute.
_OPTIONS: Mapping[str, tuple[Mapping[str, Any], Mapping[str, Any]]] = MappingProxyType(
    {
        "glasses": ({"glassesProbability": 0}, {"glassesProbability": 100}),
        "hat": ({"hatProbability": 0}, {"hatProbability": 100}),
        "beard": ({"beardProbability": 0}, {"beardProbability": 100}),
        "smile": ({"mouthVariant": _MOUTHS["sad"]}, {"mouthVariant": _MOUTHS["happy"]}),
        "long_hair": ({"hairVariant": _HAIR["short"]}, {"hairVariant": _HAIR["long"]}),
    }
)


@dataclass(frozen=True)
class Pairs:
    """The same faces without and with an attribute, and with the same other parts: uint8 [N, 16, 16, 3] each."""

    absent: NDArray[np.uint8]
    present: NDArray[np.uint8]


def labels(faces: Faces) -> NDArray[np.bool_]:
    """Which faces have which attributes [N, 5], in the order of NAMES."""
    columns = (
        faces.has("glasses"),
        faces.has("hat"),
        faces.has("beard"),
        faces.has("mouth", "happy"),
        faces.has("hair", "long"),
    )
    return np.stack(columns, axis=1)


def pairs(name: str, seeds: Sequence[int]) -> Pairs:
    """Draw the faces of these seeds twice; those whose beard does not show are left out. About 4 ms a pair."""
    without, with_it = (draw(seeds, options) for options in _OPTIONS[name])
    column = NAMES.index(name)
    differ = labels(with_it)[:, column] & ~labels(without)[:, column]
    return Pairs(without.images[differ], with_it.images[differ])

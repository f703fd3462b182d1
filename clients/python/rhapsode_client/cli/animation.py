"""Animations of pictures, as GIF or as animated PNG."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image

SUFFIXES = (".gif", ".png", ".apng")


def save_animation(frames: Sequence[Image.Image], path: Path, frames_per_second: float) -> None:
    """Write the frames to `path`, as its suffix says (one of SUFFIXES), repeated for ever. At least one frame.

    GIF times frames in hundredths of a second; the colours of each frame are reduced to 256.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    first, *others = (frame.quantize() if path.suffix.lower() == ".gif" else frame for frame in frames)
    kind = "GIF" if path.suffix.lower() == ".gif" else "PNG"
    duration = round(1000 / frames_per_second)
    first.save(path, format=kind, save_all=True, append_images=others, duration=duration, loop=0)

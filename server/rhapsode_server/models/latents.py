"""Points in latent space: drawn from a prior, and the ways between two of them."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from rhapsode_server.models.noise import uniforms_of_rows
from rhapsode_server.models.normal import normals

Latent = NDArray[np.float32]
Interpolation = Callable[[Latent, Latent, float], Latent]


class Prior(Enum):
    """The distribution of a latent's numbers, each independent of the others."""

    NORMAL = "normal"
    UNIFORM = "uniform"


@dataclass(frozen=True, slots=True)
class Draw:
    """A latent by name: row `row` of seed `seed`, multiplied by `truncation` in single precision."""

    seed: int
    row: int
    truncation: float = 1.0


def draw(name: Draw, size: int, prior: Prior) -> Latent:
    """The latent of a name: float32 [size]. Number j is made of uniform j alone, computed in double precision."""
    return np.asarray(draw_all([name], size, prior)[0])


def draw_all(names: Sequence[Draw], size: int, prior: Prior) -> NDArray[np.float32]:
    """The latents of n names, the same as one by one: float32 [n, size]."""
    noise = uniforms_of_rows([name.seed for name in names], [name.row for name in names], size)
    latents = (normals(noise) if prior is Prior.NORMAL else 2.0 * noise - 1.0).astype(np.float32)
    return np.asarray(latents * np.array([[name.truncation] for name in names], dtype=np.float32))  # 1 changes no bit


def lerp(a: Latent, b: Latent, t: float) -> Latent:
    """Linear interpolation, a + t (b − a), in single precision: float32 [size]."""
    return np.asarray(a + np.float32(t) * (b - a))


def slerp(a: Latent, b: Latent, t: float) -> Latent:
    """Spherical interpolation (Shoemake 1985) of the directions, linear interpolation of the lengths: float32 [size].

    Where a direction is missing, or the two are opposite or nearly the same, there is no arc: linear then.
    """
    wide_a, wide_b = a.astype(np.float64), b.astype(np.float64)
    length_a, length_b = float(np.linalg.norm(wide_a)), float(np.linalg.norm(wide_b))
    cosine = float(wide_a @ wide_b) / (length_a * length_b) if length_a and length_b else 1.0
    if abs(cosine) > 1.0 - 1e-9:
        return lerp(a, b, t)
    angle = math.acos(cosine)
    arc = math.sin((1.0 - t) * angle) / length_a * wide_a + math.sin(t * angle) / length_b * wide_b
    return (arc / math.sin(angle) * (length_a + t * (length_b - length_a))).astype(np.float32)


def walk_length(keyframes: int, frames_per_segment: int, loop: bool) -> int:
    """How many points `walk` visits."""
    return keyframes * frames_per_segment if loop else (keyframes - 1) * frames_per_segment + 1


def walk(keyframes: Sequence[Latent], way: Interpolation, frames_per_segment: int, loop: bool) -> Iterator[Latent]:
    """Points from keyframe to keyframe, each keyframe itself included; a loop stops just before the first again."""
    ends = [*keyframes[1:], keyframes[0]] if loop else keyframes[1:]
    for a, b in zip(keyframes, ends, strict=False):
        for frame in range(frames_per_segment):
            yield way(a, b, frame / frames_per_segment) if frame else a
    if not loop:
        yield keyframes[-1]

"""The pictures that the family faces-vae learns from."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rhapsode.v1.bundle_pb2 import DataSet
from rhapsode_exporter.data import faces
from rhapsode_exporter.data.face_attributes import labels
from rhapsode_exporter.data.pictures import load_own

# One picture in this many validates, and another is held out.
SHARE = 20


@dataclass(frozen=True, slots=True)
class Labels:
    """Which pictures of each part have which attributes: bool [N, 5], in the order of face_attributes.NAMES."""

    training: Tensor
    validation: Tensor
    held_out: Tensor


@dataclass(frozen=True, slots=True)
class Source:
    """Pictures [N, 3, 16, 16] in [0, 1] cut in three, what a card says of them, and what tells them from others."""

    training: Tensor
    validation: Tensor
    held_out: Tensor
    record: DataSet
    description: str
    identity: str
    packages: tuple[str, ...] = ()
    labels: Labels | None = None


def drawn_faces(count: int, cache: Path, latent_size: int) -> Source:
    """DiceBear's faces of the seeds 0 … count−1; the last twentieth of the seeds is held out.

    `latent_size` is that of the autoencoder, for the description.
    """
    cut = faces.split(faces.load(count, cache / "faces"), count // SHARE, count // SHARE)
    return Source(
        training=as_pictures(cut.training.images),
        validation=as_pictures(cut.validation.images),
        held_out=as_pictures(cut.held_out.images),
        record=DataSet(
            name=f"DiceBear pixel-art, {count} faces drawn from seeds, with glasses, hat and beard at 50 % each, "
            "beards opaque and left out where they can hardly be seen",
            licence="CC0-1.0",
            held_out=f"the {count // SHARE} faces of the last seeds",
        ),
        description="Faces of 16×16 pixels in the manner of DiceBear's pixel-art style, whose parts an artist drew "
        f"and a program combines: an encoder to latents of {latent_size} numbers and the decoder that turns these "
        "into faces.",
        identity=f"pixel-art {count}",
        packages=("dicebear-core", "dicebear-styles", "resvg-py"),
        labels=Labels(*(torch.from_numpy(labels(part)) for part in (cut.training, cut.validation, cut.held_out))),
    )


def own_pictures(folder: Path) -> Source:
    """A user's own pictures; shuffled once and for all, the last twentieth is held out."""
    images = load_own(folder, faces.SIDE, 3)
    images = images[np.random.default_rng(0).permutation(len(images))]
    share = max(1, len(images) // SHARE)
    digest = hashlib.sha256(images.tobytes()).hexdigest()
    return Source(
        training=as_pictures(images[: -2 * share]),
        validation=as_pictures(images[-2 * share : -share]),
        held_out=as_pictures(images[-share:]),
        record=DataSet(
            name=f"{folder.name} ({len(images):,} pictures of the user's own)",
            licence="not stated",
            sha256=digest,
            held_out=f"{share} pictures at random",
        ),
        description=f"Pictures of 16×16 pixels in the manner of {folder.name}: an encoder with its decoder.",
        identity=digest,
    )


def as_pictures(images: NDArray[np.uint8]) -> Tensor:
    """Pictures uint8 [N, H, W, 3] as a network takes them: [N, 3, H, W] in [0, 1]."""
    return torch.from_numpy(images).permute(0, 3, 1, 2).float().div(255.0).contiguous()

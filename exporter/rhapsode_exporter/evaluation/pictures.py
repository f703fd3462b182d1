"""Pictures between a bundle's range and the unit interval, as users get them: in bytes."""

import numpy as np

from rhapsode.v1.bundle_pb2 import Bundle
from rhapsode_exporter.data.real import Floats
from rhapsode_exporter.sampling.draw import pictures
from rhapsode_exporter.sampling.opened import Opened


def drawn(bundle: Opened, count: int, seed: int) -> Floats:
    """`count` pictures of the bundle, [count, C, H, W] in [0, 1]."""
    return to_unit(pictures(bundle, count, seed), bundle.manifest)


def to_unit(images: Floats, manifest: Bundle) -> Floats:
    """Pictures in the bundle's range in [0, 1], rounded to the 256 values of a byte, which real ones have too."""
    low, high = manifest.image.low, manifest.image.high
    unit = ((images - low) / (high - low)).clip(0.0, 1.0)
    return (np.rint(unit * 255.0) / 255.0).astype(np.float32)


def to_range(images: Floats, manifest: Bundle) -> Floats:
    """Pictures in [0, 1] in the bundle's range."""
    low, high = manifest.image.low, manifest.image.high
    return (low + (high - low) * images).astype(np.float32)

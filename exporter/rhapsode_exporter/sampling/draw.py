"""Which way pictures are drawn from a bundle: by the role that it has."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from rhapsode.v1.bundle_pb2 import GraphRole
from rhapsode_exporter.bundle.export import role_name
from rhapsode_exporter.errors import DrawingRefusedError
from rhapsode_exporter.sampling import decode, denoise, gibbs
from rhapsode_exporter.sampling.opened import Opened

Draw = Callable[[Opened, int, int], NDArray[np.float32]]
"""(bundle, count, seed) → pictures [count, C, H, W] in the model's range, its classes balanced."""

# A bundle is drawn from by the first of these roles that it has.
WAYS: Mapping[GraphRole.ValueType, Draw] = MappingProxyType(
    {
        GraphRole.GRAPH_ROLE_DECODE: decode.pictures,
        GraphRole.GRAPH_ROLE_DENOISE: denoise.pictures,
        GraphRole.GRAPH_ROLE_GIBBS: gibbs.pictures,
    }
)


def draws(bundle: Opened) -> bool:
    """Whether pictures can be drawn from the bundle."""
    return any(role in bundle.sessions for role in WAYS)


def pictures(bundle: Opened, count: int, seed: int) -> NDArray[np.float32]:
    """`count` pictures [count, C, H, W] in the model's range, the same for the same seed.

    Raises DrawingRefusedError where the bundle has no graph that draws.
    """
    for role, draw in WAYS.items():
        if role in bundle.sessions:
            return draw(bundle, count, seed)
    ways = ", ".join(role_name(role) for role in WAYS)
    raise DrawingRefusedError(f"{bundle.manifest.name} draws no pictures: it has no graph of the roles {ways}")

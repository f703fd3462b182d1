"""How many modes of the ring a generator found."""

from torch import Tensor

from rhapsode_exporter.data.ring import DEVIATION, MODES, centres

NEAR = 3 * DEVIATION
# A mode is found where at least so many of all points lie near it; an even share is an eighth.
FOUND_SHARE = 0.02


def shares(points: Tensor) -> list[float]:
    """Of points [N, 2], the share that lies near each mode, within three deviations of its centre."""
    near = (points[:, None] - centres()).norm(dim=2) < NEAR
    return [float(near[:, mode].double().mean()) for mode in range(MODES)]


def modes_found(points: Tensor) -> int:
    """How many modes have at least FOUND_SHARE of points [N, 2]."""
    return sum(share >= FOUND_SHARE for share in shares(points))

"""Standard normals from uniforms by the inverse distribution function, in rational approximations.

Algorithm AS 241, PPND16 (Wichura 1988): relative error about 1e-16 in double precision. Written out here, because a
library's own normals may change with its version, and because a client in any language can make the same ones.
"""

import numpy as np
from numpy.typing import NDArray

# Each region's numerator and denominator, highest power first; the middle region is |u − 1/2| ≤ 0.425.
MIDDLE = (
    (
        2509.0809287301226727,
        33430.575583588128105,
        67265.770927008700853,
        45921.953931549871457,
        13731.693765509461125,
        1971.5909503065514427,
        133.14166789178437745,
        3.387132872796366608,
    ),
    (
        5226.495278852545925,
        28729.085735721942674,
        39307.89580009271061,
        21213.794301586595867,
        5394.1960214247511077,
        687.1870074920579083,
        42.313330701600911252,
        1.0,
    ),
)
NEAR_TAIL = (
    (
        7.7454501427834140764e-4,
        0.0227238449892691845833,
        0.24178072517745061177,
        1.27045825245236838258,
        3.64784832476320460504,
        5.7694972214606914055,
        4.6303378461565452959,
        1.42343711074968357734,
    ),
    (
        1.05075007164441684324e-9,
        5.475938084995344946e-4,
        0.0151986665636164571966,
        0.14810397642748007459,
        0.68976733498510000455,
        1.6763848301838038494,
        2.05319162663775882187,
        1.0,
    ),
)
FAR_TAIL = (
    (
        2.01033439929228813265e-7,
        2.71155556874348757815e-5,
        0.0012426609473880784386,
        0.026532189526576123093,
        0.29656057182850489123,
        1.7848265399172913358,
        5.4637849111641143699,
        6.6579046435011037772,
    ),
    (
        2.04426310338993978564e-15,
        1.4215117583164458887e-7,
        1.8463183175100546818e-5,
        7.868691311456132591e-4,
        0.0148753612908506148525,
        0.13692988092273580531,
        0.59983220655588793769,
        1.0,
    ),
)


def _ratio(region: tuple[tuple[float, ...], tuple[float, ...]], x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Both polynomials at once by Horner's rule: float64 [n] → float64 [n]."""
    highest, *rest = np.array(region).T[:, :, None]
    parts = highest * x + rest[0]
    for coefficients in rest[1:]:
        parts *= x
        parts += coefficients
    return np.asarray(parts[0] / parts[1])


def normals(uniforms: NDArray[np.float64]) -> NDArray[np.float64]:
    """The value below which a standard normal lies with each probability: float64 in (0, 1) → float64, same shape."""
    flat = uniforms.reshape(-1)
    centred = flat - 0.5
    values = centred * _ratio(MIDDLE, 0.180625 - centred * centred)
    outside = np.flatnonzero(np.abs(centred) > 0.425)
    values[outside] = np.copysign(_tail(flat[outside]), centred[outside])
    return values.reshape(uniforms.shape)


def _tail(uniforms: NDArray[np.float64]) -> NDArray[np.float64]:
    """The magnitudes outside of the middle region: float64 [n] → float64 [n]."""
    depth = np.sqrt(-np.log(np.minimum(uniforms, 1.0 - uniforms)))
    values = _ratio(NEAR_TAIL, depth - 1.6)
    far = np.flatnonzero(depth > 5.0)
    values[far] = _ratio(FAR_TAIL, depth[far] - 5.0)
    return values

"""Linear probes: what a linear map finds in latents."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Probe:
    """factors ≈ latents · weights + intercept, with weights [D, F] and an intercept [F]."""

    weights: Tensor
    intercept: Tensor

    def predict(self, latents: Tensor) -> Tensor:
        """The factors [N, F] of latents [N, D]."""
        factors: Tensor = latents.double() @ self.weights + self.intercept
        return factors


def fit_probe(latents: Tensor, factors: Tensor) -> Probe:
    """Least squares of factors [N, F] on latents [N, D], in double precision."""
    solution = torch.linalg.lstsq(_with_ones(latents), factors.double()).solution
    return Probe(solution[:-1], solution[-1])


def r_squared(probe: Probe, latents: Tensor, factors: Tensor) -> Tensor:
    """The share of each factor's variance that the probe explains [F]; below 0 where it does worse than the mean."""
    error = (probe.predict(latents) - factors.double()).square().mean(dim=0)
    return 1.0 - error / factors.double().var(dim=0, unbiased=False)


def _with_ones(columns: Tensor) -> Tensor:
    return torch.cat([columns.double(), torch.ones(len(columns), 1, dtype=torch.float64)], dim=1)

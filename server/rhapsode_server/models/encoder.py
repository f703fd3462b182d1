"""Encoders: one step turns a row's picture into the mean and log-variance of its latent."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rhapsode_server.errors import NonFiniteOutput
from rhapsode_server.models.base import OneRun, Outcome
from rhapsode_server.models.decoder import Pixels
from rhapsode_server.models.graph_model import Arrays, GraphModel, finite
from rhapsode_server.models.latents import Latent


@dataclass(frozen=True, slots=True, eq=False)
class EncodeRow:
    """One picture to encode, in the model's own value range: float32 [channels, height, width]."""

    values: Pixels


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """The posterior of a picture's latent: mean and log-variance, float32 [size] each."""

    mean: Latent
    log_variance: Latent


class Encoder(OneRun, GraphModel[EncodeRow, Encoded]):
    """Turns pictures into posteriors: image [batch, channels, height, width] → mean, log_variance [batch, size]."""

    def feeds(self, rows: Sequence[EncodeRow]) -> Arrays:
        """The pictures."""
        return {"image": np.stack([row.values for row in rows])}

    def outcomes(self, _rows: Sequence[EncodeRow], _feeds: Arrays, results: Arrays) -> Sequence[Outcome[Encoded]]:
        """Encode every row; each is done after it."""
        means, log_variances = results["mean"], results["log_variance"]
        sound = finite(means) & finite(log_variances)
        return [
            Outcome([Encoded(mean, log_variance)], done=True, made=1)
            if fine
            else Outcome(done=True, error=NonFiniteOutput("the model gave a latent that is not finite"))
            for mean, log_variance, fine in zip(means, log_variances, sound, strict=True)
        ]

"""The look at a whole minibatch that keeps a generator from drawing one thing only."""

import torch
from torch import Tensor, nn


class MinibatchDeviation(nn.Module):
    """Features [B, C, …] → [B, C + 1, …]: how much the batch deviates, beside the features (Karras et al. 2018).

    In training the statistic is the batch's own, so that a critic sees at once that all of its pictures are alike. In
    evaluation its moving mean over training batches stands in its place, a constant: a picture's score then does not
    depend on its company.
    """

    typical: Tensor
    batches: Tensor

    def __init__(self, momentum: float = 0.01) -> None:
        super().__init__()
        self._momentum = momentum
        self.register_buffer("typical", torch.zeros(()))
        self.register_buffer("batches", torch.zeros((), dtype=torch.int64))

    def forward(self, features: Tensor) -> Tensor:
        """The features with the statistic."""
        statistic = self._observed(features) if self.training else self.typical
        # Not expanded to a shape, which a graph would have to compute on the host in the middle of a run.
        beside = 0.0 * features[:, :1] + statistic.to(features.dtype)
        return torch.cat([features, beside], dim=1)

    def _observed(self, features: Tensor) -> Tensor:
        """The statistic of this batch, which moves the mean; the mean of few batches is their plain mean."""
        statistic = deviation(features)
        with torch.no_grad():
            self.batches.add_(1)
            self.typical.lerp_(statistic, max(self._momentum, 1.0 / float(self.batches)))
        return statistic


def deviation(features: Tensor) -> Tensor:
    """The standard deviation over the batch of each feature of [B, …], its mean over all features: a scalar."""
    centred = features.float() - features.float().mean(dim=0, keepdim=True)
    return (centred.square().mean(dim=0) + 1e-8).sqrt().mean()

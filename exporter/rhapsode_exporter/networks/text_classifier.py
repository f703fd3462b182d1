"""A critic of short texts: logistic regression on what stretches of characters are in them."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SCALE = 2.0**20  # of weights as whole numbers: these are below 2 048 in size


@dataclass(frozen=True, slots=True)
class GramShape:
    """Which n-grams of texts of at most `longest` of `vocabulary` tokens are seen, and in how many buckets they fall.

    `buckets` is a prime, so that n-grams fall evenly.
    """

    vocabulary: int
    longest: int
    orders: tuple[int, ...] = (2, 3, 4, 5)
    buckets: int = 100_003


def gram_buckets(shape: GramShape, tokens: Tensor, length: Tensor) -> Tensor:
    """The bucket of each n-gram of texts, int64 [B, G]; `shape.buckets` where a text has none.

    `tokens` [B, longest] are int64, of which a text's first `length` [B] count; before and after it stands a mark.
    """
    end, start = shape.vocabulary, shape.vocabulary + 1
    inside = torch.arange(shape.longest) < length[:, None]
    none = tokens[:, :1] * 0  # whole numbers are not padded on CUDA
    marked = torch.cat((none + start, torch.where(inside, tokens, end), none + end), dim=1)
    parts = []
    for order in shape.orders:
        places = shape.longest + 3 - order
        key = marked[:, :places] + order * (start + 1)
        for step in range(1, order):
            key = key * (start + 1) + marked[:, step : step + places]
        ends_inside = torch.arange(order, places + order) <= length[:, None] + 2
        parts.append(torch.where(ends_inside, key % shape.buckets, shape.buckets))
    return torch.cat(parts, dim=1)


class GramCritic(nn.Module):
    """(tokens [B, longest], length [B]) → logits [B, 2] of two classes, the same for every company and any filling.

    A weight for each bucket of n-grams (Weinberger et al. 2009, "Feature hashing"; the linear limit of fastText, Joulin
    et al. 2016), added up and divided by the square root of how many there are.
    """

    def __init__(self, shape: GramShape, dropout: float = 0.0) -> None:
        super().__init__()
        self.shape = shape
        self.dropout = dropout
        self.weight = nn.Embedding(shape.buckets + 1, 1, padding_idx=shape.buckets)
        self.bias = nn.Parameter(torch.zeros(1))
        nn.init.zeros_(self.weight.weight)

    def forward(self, tokens: Tensor, length: Tensor) -> Tensor:
        """The logits; what the first class gains the second loses."""
        buckets = gram_buckets(self.shape, tokens, length)
        weights = self.weight(buckets).squeeze(2)
        if self.training:
            weights = F.dropout(weights, self.dropout)
        return _logits(weights.sum(dim=1), self.shape, length, self.bias)


class ExactGramCritic(nn.Module):
    """A trained GramCritic in whole numbers: they add up to the same in every order, so in every batch."""

    def __init__(self, critic: GramCritic) -> None:
        super().__init__()
        self.shape = critic.shape
        self.weight: Tensor
        self.bias: Tensor
        self.register_buffer("weight", (critic.weight.weight.detach()[:, 0] * SCALE).round().to(torch.int32))
        self.register_buffer("bias", critic.bias.detach().clone())

    def forward(self, tokens: Tensor, length: Tensor) -> Tensor:
        """The logits, as those of the critic but for the rounding of its weights."""
        weights = self.weight[gram_buckets(self.shape, tokens, length)].to(torch.int64)
        return _logits(weights.sum(dim=1).to(torch.float32) / SCALE, self.shape, length, self.bias)


def _logits(total: Tensor, shape: GramShape, length: Tensor, bias: Tensor) -> Tensor:
    """Logits [B, 2] from the added weights [B] of all n-grams."""
    grams = sum((torch.clamp(length + 3 - order, min=0) for order in shape.orders), torch.zeros_like(length))
    score = total / grams.to(torch.float32).sqrt() + bias
    return torch.stack((score / 2, -score / 2), dim=1)

"""The step of an n-gram model over sorted tables.

Nothing in it depends on the company of a row, not even its bits: only comparisons, look-ups, elementwise arithmetic,
cumulative sums along a row and scattering take part. Probabilities are stored as logarithms, so none is taken.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rhapsode_exporter.networks.sorted_table import FAN, SortedTable
from rhapsode_exporter.ngrams.backoff import Backoff, Level

BLOCK = 4
"""Entries that are looked up together."""


class NgramStep(nn.Module):
    """(token [B], history [B, n - 1]) → (logits [B, V], history [B, n - 1]); logits are log-probabilities.

    `history` holds the last n - 1 tokens, the newest first; V stands for the place before the start. A unigram model
    has no history.

    All contexts stand in one table, sorted, each as a number: its tokens as digits of base V + 1, plus a multiple of
    what n - 1 digits can say for its length. The contexts of all lengths are found at once, and the lists of what
    follows them are laid over each other, the longer context's uppermost. A list has as many columns as the widest one
    of its length, which is known beforehand, so that no shape is computed.
    """

    def __init__(self, model: Backoff, fan: int = FAN) -> None:
        super().__init__()
        self.vocabulary, self.longest, self.step = model.vocabulary, len(model.levels), model.step
        self._keep("unigram", np.append(model.unigram, 0.0)[None], torch.float32)  # [1, V + 1]
        if not self.longest:
            return
        base, lengths = self.vocabulary + 1, np.arange(1, self.longest + 1)
        spans = lengths * base**self.longest
        self._keep("powers", base ** (lengths - 1), torch.int64)
        self._keep("spans", spans, torch.int64)
        known = [level.contexts + span for level, span in zip(model.levels, spans, strict=True)]
        self.contexts = SortedTable(np.concatenate([[-1], *known]), fan)
        backoffs = [level.backoffs for level in model.levels]
        self._keep("backoffs", np.concatenate([[0.0], *backoffs]), torch.float32)
        self._build_lists(model.levels)

    def _keep(self, name: str, values: NDArray[np.generic], dtype: torch.dtype) -> None:
        self.register_buffer(name, torch.from_numpy(np.ascontiguousarray(values)).to(dtype))

    def _build_lists(self, levels: Sequence[Level]) -> None:
        """The lists, each in blocks that are filled up with the token V, which none is; the last block is all such."""
        sizes = np.concatenate([np.diff(level.starts) for level in levels])
        starts = np.cumsum([0, 0, *-(-sizes // BLOCK)])
        inside = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        places = np.repeat(starts[1:-1], sizes) * BLOCK + inside
        tokens = np.full((starts[-1] + 1) * BLOCK, self.vocabulary)
        tokens[places] = np.concatenate([level.tokens for level in levels])
        weights = np.zeros(len(tokens))
        weights[places] = np.concatenate([level.weights for level in levels])
        kinds = (torch.uint8, torch.int16, torch.int32)
        smallest = next(kind for kind in kinds if self.vocabulary <= torch.iinfo(kind).max)
        self._keep("starts", starts, torch.int32)
        self._keep("tokens", tokens.reshape(-1, BLOCK), smallest)
        kept = np.rint(weights / self.step) if self.step else weights
        self._keep("weights", kept.reshape(-1, BLOCK), torch.int8 if self.step else torch.float32)
        self.none = int(starts[-1])
        blocks = [max(1, -(-level.widest // BLOCK)) for level in levels[::-1]]  # the longest contexts first
        self.widths = [number * BLOCK for number in blocks]
        self._keep("columns", np.repeat(np.arange(self.longest), blocks), torch.int64)
        self._keep("offsets", np.concatenate([np.arange(number) for number in blocks]), torch.int32)

    def forward(self, token: Tensor, *history: Tensor) -> tuple[Tensor, ...]:
        """(logits, history), or (logits,) of a unigram model."""
        unigram = self.get_buffer("unigram")
        if not history:
            return (unigram[token * 0][:, : self.vocabulary],)
        tokens = torch.cat((token[:, None], history[0][:, :-1]), dim=1)
        keys = torch.cumsum(tokens * self.get_buffer("powers"), dim=1) + self.get_buffer("spans")
        place = self.contexts(keys.flip(1))  # [B, n - 1], the longest context first
        listed, weights = self._lists(place)
        # Those of each context and all longer ones together: [B, 1] each.
        backoff = torch.split(torch.cumsum(self.get_buffer("backoffs")[place], dim=1), 1, dim=1)
        logits = unigram + backoff[-1]
        for number in reversed(range(self.longest)):
            logits = torch.scatter(logits, 1, listed[number], weights[number] + backoff[number])
        return logits[:, : self.vocabulary], tokens

    def _lists(self, place: Tensor) -> tuple[Sequence[Tensor], Sequence[Tensor]]:
        """Tokens and weights [B, width] that are listed after the contexts of each length; V where a list has ended."""
        starts, columns = self.get_buffer("starts"), self.get_buffer("columns")
        block = starts[place].index_select(1, columns) + self.get_buffer("offsets")  # [B, blocks of all lengths]
        block = torch.where(block < starts[place + 1].index_select(1, columns), block, self.none)
        tokens, weights = self.get_buffer("tokens")[block], self.get_buffer("weights")[block].float()
        weights = weights * self.step if self.step else weights
        return (
            torch.split(tokens.long().flatten(1), self.widths, dim=1),
            torch.split(weights.flatten(1), self.widths, dim=1),
        )

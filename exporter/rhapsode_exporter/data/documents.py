"""Batches of whole documents, for training from each one's beginning to its end."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from rhapsode_exporter.data.streams import Segment

IGNORED = -100  # the target of a place behind a document's end, as torch's cross entropy has it
SORTED_BATCHES = 32  # documents of so many batches are sorted by length, so that a batch wastes few places


class Documents:
    """Deals B documents at a time, of about the same length, in another order in each epoch, for ever.

    A document is ids [N + 1], the first of which is only read. Longer ones than `longest` are cut there; those that
    fill no batch at the end of an epoch are left out of it.
    """

    def __init__(self, documents: Sequence[Tensor], rows: int, longest: int, seed: int) -> None:
        if len(documents) < rows:
            raise ValueError(f"{len(documents)} documents do not fill a batch of {rows}")
        self._documents = [document[: longest + 1].long() for document in documents]
        self._rows = rows
        self._random = torch.Generator().manual_seed(seed)
        self._begin_epoch()

    def deal(self) -> Segment:
        """The next batch; every row of it is fresh."""
        if self._dealt == len(self._batches):
            self._begin_epoch()
        chosen = [self._documents[place] for place in self._batches[self._dealt]]
        self._dealt += 1
        inputs = torch.nn.utils.rnn.pad_sequence([document[:-1] for document in chosen])  # [T, B]
        targets = torch.nn.utils.rnn.pad_sequence([document[1:] for document in chosen], padding_value=IGNORED)
        return Segment(inputs, targets, torch.ones(self._rows, dtype=torch.bool))

    def state_dict(self) -> dict[str, Any]:
        """Where in which epoch the dealing stands, for a checkpoint."""
        return {"epoch": self._epoch, "dealt": self._dealt}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self._random.set_state(state_dict["epoch"])
        self._begin_epoch()
        self._dealt = state_dict["dealt"]

    def _begin_epoch(self) -> None:
        self._epoch = self._random.get_state()
        order: list[int] = torch.randperm(len(self._documents), generator=self._random).tolist()
        window = SORTED_BATCHES * self._rows
        batches = []
        for begin in range(0, len(order), window):
            near = sorted(order[begin : begin + window], key=lambda place: len(self._documents[place]))
            batches += [near[first : first + self._rows] for first in range(0, len(near), self._rows)]
        whole = [batch for batch in batches if len(batch) == self._rows]
        self._batches = [whole[place] for place in torch.randperm(len(whole), generator=self._random)]
        self._dealt = 0

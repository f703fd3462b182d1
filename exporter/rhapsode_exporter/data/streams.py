"""Segments of a text for truncated backpropagation through time."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Segment:
    """`inputs` and `targets` [T, B], the targets one character on; `fresh` [B] is true where a stream starts anew."""

    inputs: Tensor
    targets: Tensor
    fresh: Tensor


class Streams:
    """Cuts a text into B contiguous streams and deals them T characters at a time, for ever.

    The text is a ring that each epoch enters at a random place, so that no epoch cuts it as another did. Now and then
    (with probability `fresh_share` per segment and stream) a stream forgets its state, so that a network also
    learns to begin.
    """

    def __init__(self, text: Tensor, streams: int, length: int, fresh_share: float, seed: int) -> None:
        if len(text) < streams * (length + 1):
            raise ValueError(f"{len(text)} characters do not fill {streams} streams of {length}")
        self._text = text
        self._streams = streams
        self._length = length
        self._fresh_share = fresh_share
        self._random = torch.Generator().manual_seed(seed)
        self._enter()

    @property
    def epoch_segments(self) -> int:
        """Segments in one pass over the text."""
        return len(self._text) // (self._streams * self._length)

    def deal(self) -> Segment:
        """The next segment."""
        if self._dealt == self.epoch_segments:
            self._enter()
        apart = len(self._text) // self._streams
        starts = self._entry + apart * torch.arange(self._streams) + self._dealt * self._length  # [B]
        places = starts + torch.arange(self._length + 1)[:, None]  # [T + 1, B]
        characters = self._text[places % len(self._text)].long()
        fresh = torch.rand(self._streams, generator=self._random) < self._fresh_share
        fresh |= self._dealt == 0
        self._dealt += 1
        return Segment(characters[:-1], characters[1:], fresh)

    def state_dict(self) -> dict[str, Any]:
        """Where the streams stand, for a checkpoint."""
        return {"entry": self._entry, "dealt": self._dealt, "random": self._random.get_state()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self._entry, self._dealt = state_dict["entry"], state_dict["dealt"]
        self._random.set_state(state_dict["random"])

    def _enter(self) -> None:
        self._entry = int(torch.randint(len(self._text), (), generator=self._random))
        self._dealt = 0

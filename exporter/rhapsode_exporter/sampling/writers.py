"""The models of sequences that texts can be drawn from: character networks, counted models."""

import numpy as np
import torch
from numpy.typing import NDArray

from rhapsode_exporter.judge.kneser_ney import KneserNey
from rhapsode_exporter.networks.recurrent import CharacterNetwork, State
from rhapsode_exporter.sampling.writing import Floats, Ids


class NetworkWriter:
    """A character network in evaluation mode, which is fed `start` before the first token of every text.

    Where `start` is None the first token must be given by a prefix: the network knows no text without one.
    """

    def __init__(self, network: CharacterNetwork, start: int | None) -> None:
        self._network = network
        self._start = start
        self._state: State = ()

    def begin(self, rows: int) -> Floats:
        """The probabilities after the start token."""
        self._state = self._network.fresh_state(rows)
        if self._start is None:
            return np.ones((rows, self._network.shape.vocabulary))
        return self.take(np.full(rows, self._start))

    @torch.no_grad()
    def take(self, tokens: Ids) -> Floats:
        """One step of the network."""
        logits, self._state = self._network(torch.from_numpy(tokens)[None], self._state)
        probabilities: Floats = torch.softmax(logits[-1].float(), dim=-1).numpy()
        return probabilities

    def keep(self, rows: NDArray[np.bool_]) -> None:
        """Drop the states of the other rows."""
        self._state = tuple(part[:, torch.from_numpy(rows)] for part in self._state)


class NgramWriter:
    """A counted model of one order."""

    def __init__(self, model: KneserNey, order: int) -> None:
        self._model = model
        self._order = order
        self._histories = np.zeros((0, 0), np.int64)

    def begin(self, rows: int) -> Floats:
        """The probabilities at a text's start."""
        self._histories = np.full((rows, self._order - 1), self._model.vocabulary)
        return self._model.following(self._histories, self._order)

    def take(self, tokens: Ids) -> Floats:
        """The last order - 1 tokens are all that it remembers."""
        self._histories = np.concatenate((self._histories, tokens[:, None]), axis=1)[:, 1:]
        return self._model.following(self._histories, self._order)

    def keep(self, rows: NDArray[np.bool_]) -> None:
        """Drop the other rows' histories."""
        self._histories = self._histories[rows]

"""A critic of texts fills every text up to the same length, and one that fails leaves the others alone."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rhapsode_server.errors import NonFiniteOutput
from rhapsode_server.models.text_critic import TextCritic, TextCriticRow


class FakeSession:
    """A graph that gives what it was told to, and keeps what it was fed."""

    def __init__(self, logits: list[list[float]]) -> None:
        self.logits = np.array(logits, np.float32)
        self.fed: Mapping[str, NDArray[Any]] = {}

    def run(self, feeds: Mapping[str, NDArray[Any]]) -> Mapping[str, NDArray[Any]]:
        self.fed = feeds
        return {"class_logits": self.logits}


def test_texts_are_filled_up_and_told_apart_row_by_row() -> None:
    session = FakeSession([[0, 0], [np.nan, 0], [90, -90]])
    rows = [TextCriticRow((5,)), TextCriticRow((6, 7)), TextCriticRow((8, 9, 10, 11))]
    first, broken, last = TextCritic(session, longest=4, max_batch=8).advance(rows)
    assert session.fed["tokens"].tolist() == [[5, 0, 0, 0], [6, 7, 0, 0], [8, 9, 10, 11]]
    assert session.fed["length"].tolist() == [1, 2, 4]
    assert {values.dtype for values in session.fed.values()} == {np.dtype(np.int64)}
    assert (first.done, first.made, first.events[0].tolist()) == (True, 1, [0.5, 0.5])
    assert (broken.done, list(broken.events)) == (True, [])
    assert isinstance(broken.error, NonFiniteOutput)
    assert last.events[0].tolist() == [1.0, 0.0]

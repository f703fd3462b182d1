"""A critic judges row by row: one that fails leaves the others alone, and no sum runs over two of them."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from rhapsode_server.errors import NonFiniteOutput
from rhapsode_server.models.critic import Critic, CriticRow, softmax
from rhapsode_server.rpc.contest import ranking

ROWS = [CriticRow(np.zeros((1, 2, 2), np.float32)) for _ in range(3)]


class FakeSession:
    """A graph that gives what it was told to."""

    def __init__(self, **outputs: list[Any]) -> None:
        self.outputs = {name: np.array(values, np.float32) for name, values in outputs.items()}

    def run(self, feeds: Mapping[str, NDArray[Any]]) -> Mapping[str, NDArray[Any]]:
        assert feeds["image"].shape == (3, 1, 2, 2)
        return self.outputs


def test_a_row_that_is_not_finite_fails_by_itself() -> None:
    session = FakeSession(realness=[1.0, np.nan, 2.0], class_logits=[[0, 0], [0, 0], [np.inf, 0]])
    fine, *broken = Critic(session, classifies=True, max_batch=8).advance(ROWS)
    assert (fine.done, fine.made, fine.events[0].realness) == (True, 1, 1.0)
    assert fine.events[0].probabilities.tolist() == [0.5, 0.5]
    assert all(isinstance(one.error, NonFiniteOutput) and not one.events for one in broken)


def test_a_critic_without_classes_gives_no_probabilities() -> None:
    outcomes = Critic(FakeSession(realness=[1, 2, 3]), classifies=False, max_batch=8).advance(ROWS)
    assert [one.events[0].realness for one in outcomes] == [1.0, 2.0, 3.0]
    assert all(len(one.events[0].probabilities) == 0 for one in outcomes)


@pytest.mark.parametrize("size", [1, 2, 10, 41, 1000])
def test_probabilities_sum_to_one_and_keep_the_order(size: int) -> None:
    logits = np.random.default_rng(size).normal(0, 50, size).astype(np.float32)
    shares = softmax(logits)
    assert shares.dtype == np.float32
    assert float(shares.sum()) == pytest.approx(1.0, abs=1e-5)
    assert int(shares.argmax()) == int(logits.argmax())
    assert softmax(np.array([1e30, -1e30], np.float32)).tolist() == [1.0, 0.0]


def test_a_ranking_is_by_realness_then_by_row() -> None:
    assert ranking([0.5, 2.0, 0.5, -1.0, 2.0]) == [1, 4, 0, 2, 3]
    assert ranking([0.0, -0.0]) == [0, 1]

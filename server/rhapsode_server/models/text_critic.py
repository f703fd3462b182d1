"""Critics of texts: one step says of which class a row's text is."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rhapsode_server.errors import NonFiniteOutput
from rhapsode_server.models.base import OneRun, Outcome, Session
from rhapsode_server.models.critic import Probabilities, softmax
from rhapsode_server.models.graph_model import Arrays, GraphModel, finite


@dataclass(frozen=True, slots=True)
class TextCriticRow:
    """One text to judge: token ids, one at least and at most as many as the critic takes."""

    tokens: tuple[int, ...]


class TextCritic(OneRun, GraphModel[TextCriticRow, Probabilities]):
    """Judges texts: tokens [batch, longest], length [batch] → class_logits [batch, classes].

    Every text is filled up with zeros to `longest` tokens, so that its bytes do not depend on the length of others.
    What comes of it is the probability of each class: float32 [classes].
    """

    def __init__(self, session: Session, longest: int, max_batch: int) -> None:
        super().__init__(session, max_batch)
        self.longest = longest

    def feeds(self, rows: Sequence[TextCriticRow]) -> Arrays:
        """The texts, filled up, and how long they were."""
        lengths = np.array([len(row.tokens) for row in rows], dtype=np.int64)
        tokens = np.zeros((len(rows), self.longest), dtype=np.int64)
        for filled, row in zip(tokens, rows, strict=True):
            filled[: len(row.tokens)] = row.tokens
        return {"tokens": tokens, "length": lengths}

    def outcomes(
        self, _rows: Sequence[TextCriticRow], _feeds: Arrays, results: Arrays
    ) -> Sequence[Outcome[Probabilities]]:
        """Judge every row; each is done after it."""
        logits = results["class_logits"]
        return [
            Outcome([softmax(scores)], done=True, made=1)
            if fine
            else Outcome(done=True, error=NonFiniteOutput("the model gave a judgement that is not finite"))
            for scores, fine in zip(logits, finite(logits), strict=True)
        ]

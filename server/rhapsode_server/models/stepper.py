"""Sequence models: one step is one token of each row, with the sampler outside the graph."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rhapsode_server.errors import NonFiniteOutput
from rhapsode_server.models.base import Outcome, Session
from rhapsode_server.models.row import TextRow
from rhapsode_server.models.sampling import Floats, likeliest, log_probabilities, sample
from rhapsode_server.models.text import TextEvent, Token


@dataclass(frozen=True, slots=True)
class StateSpec:
    """A state tensor of the step graph: fed through `input`, read back from `output`."""

    input: str
    output: str
    shape: tuple[int, ...]
    """Of one row: without the batch axis."""
    dtype: np.dtype[Any]
    initial_value: float


@dataclass(frozen=True, slots=True)
class Alphabet:
    """What the stepper has to know of a vocabulary."""

    tokens: tuple[str, ...]
    end_token: int | None = None
    penalties_count_prompt: bool = False


class Stepper:
    """Advances rows of tokens by one step: (token, state) → (logits, next state), then the sampler."""

    def __init__(self, session: Session, states: Sequence[StateSpec], alphabet: Alphabet, max_batch: int) -> None:
        self.max_batch = max_batch
        self._session = session
        self._states = tuple(states)
        self._alphabet = alphabet
        self._initial = tuple(np.full(spec.shape, spec.initial_value, spec.dtype) for spec in states)

    def advance(self, rows: Sequence[TextRow]) -> Sequence[Outcome[TextEvent]]:
        """Feed each row its next token and draw where its prompt is over."""
        drawing = [index for index, row in enumerate(rows) if row.draws]
        logits = self._step(rows)
        outcomes: list[Outcome[TextEvent]] = [Outcome()] * len(rows)
        ended = {index: end for index in drawing if (end := rows[index].already_ended(self._alphabet.end_token))}
        sound = _sound(logits)
        for index in range(len(rows)):
            if index in ended:
                outcomes[index] = Outcome([ended[index]], done=True)
            elif not sound[index]:
                outcomes[index] = Outcome(done=True, error=NonFiniteOutput("the model gave logits that are not finite"))
        kept = [index for index in drawing if index not in ended and sound[index]]
        for index, outcome in zip(kept, self._draw([rows[index] for index in kept], logits[kept]), strict=True):
            outcomes[index] = outcome
        return outcomes

    def _step(self, rows: Sequence[TextRow]) -> Floats:
        feeds: dict[str, NDArray[Any]] = {"token": np.array([row.next_input for row in rows], dtype=np.int64)}
        for number, spec in enumerate(self._states):
            feeds[spec.input] = np.stack([(row.state or self._initial)[number] for row in rows])
        results = self._session.run(feeds)
        for index, row in enumerate(rows):
            row.advance(tuple(results[spec.output][index] for spec in self._states))
        logits: Floats = results["logits"]
        return logits

    def _draw(self, rows: Sequence[TextRow], logits: Floats) -> list[Outcome[TextEvent]]:
        if not rows:
            return []
        for row in rows:
            if row.seen is None and row.spec.sampling.penalised:
                row.count(len(self._alphabet.tokens), self._alphabet.penalties_count_prompt)
        uniforms = np.array([row.uniform for row in rows], dtype=np.float32)
        drawn = sample(logits, [row.spec.sampling for row in rows], [row.seen for row in rows], uniforms)
        outcomes: list[Outcome[TextEvent]] = []
        for row, identity, row_logits in zip(rows, drawn.tolist(), logits, strict=True):
            events, done = row.accept(self._token(row, identity, row_logits), self._alphabet.end_token)
            outcomes.append(Outcome(events, done, made=1))
        return outcomes

    def _token(self, row: TextRow, identity: int, logits: Floats) -> Token:
        text, wanted = self._alphabet.tokens[identity], row.spec.logprobs
        if wanted is None:
            return Token(identity, text)
        values = log_probabilities(logits)
        top = tuple((int(other), float(values[other])) for other in likeliest(values, wanted))
        return Token(identity, text, float(values[identity]), top)


def _sound(logits: Floats) -> NDArray[np.bool_]:
    """Which rows can be drawn from: bool [batch]. −∞ forbids a token; NaN, +∞ and nothing but −∞ are faults."""
    return np.asarray(np.isfinite(logits.max(axis=1)))

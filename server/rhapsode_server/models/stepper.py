"""Sequence models: one run makes the next tokens of each row."""

import time
from collections.abc import Callable, Sequence

from rhapsode_server.errors import NonFiniteOutput
from rhapsode_server.models.base import Outcome, Wanted
from rhapsode_server.models.budget import RunBudget
from rhapsode_server.models.row import Alphabet, TextRow
from rhapsode_server.models.steps import Made, Steps
from rhapsode_server.models.text import TextEvent


class Stepper:
    """Advances rows of tokens, by as many steps as the run budget allows and the rows want."""

    def __init__(
        self,
        way: Steps,
        alphabet: Alphabet,
        budget: RunBudget,
        max_batch: int,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.max_batch = max_batch
        self._way = way
        self._alphabet = alphabet
        self._budget = budget
        self._clock = clock

    def advance(self, rows: Sequence[TextRow]) -> Sequence[Outcome[TextEvent]]:
        """Step every row, and tell what it has made. Raises RunFailed, OutOfMemory or DeviceLost."""
        ended = {row: end for row in rows if (end := row.already_ended(self._alphabet))}
        if not ended:
            return self._outcomes(rows, self._run(rows))
        going = [row for row in rows if row not in ended]
        told = dict(zip(going, self._outcomes(going, self._run(going)), strict=True)) if going else {}
        return [told[row] if row in told else Outcome([ended[row]], done=True) for row in rows]

    def wants(self, row: TextRow) -> Wanted:
        """At most what its length allows; at least what is forced on it, where it may end by itself."""
        left = max(1, row.left)
        certain = row.spec.scores or (self._alphabet.end_token is None and not row.spec.stop_sequences)
        return Wanted(left if certain else min(left, max(1, row.to_first)), left)

    def _run(self, rows: Sequence[TextRow]) -> Made:
        steps = self._steps(rows)
        began = self._clock()
        made = self._way.run(rows, steps)
        self._budget.took(len(rows), len(made.tokens), self._clock() - began)
        return made

    def _steps(self, rows: Sequence[TextRow]) -> int:
        """Within the budget, no more than any row wants, nor than the soonest of those that have told nothing."""
        most = min(self._budget.steps(len(rows)), max(row.left for row in rows))
        waiting = [row.to_first for row in rows if row.to_first]
        return min(most, *waiting) if waiting else most

    def _outcomes(self, rows: Sequence[TextRow], made: Made) -> Sequence[Outcome[TextEvent]]:
        """What each row has made, as far as its logits were sound."""
        tokens, told = made.tokens.T.tolist(), made.told
        good = made.sound.T.argmin(axis=1).tolist() if not made.sound.all() else None
        outcomes: list[Outcome[TextEvent]] = []
        for place, row in enumerate(rows):
            wanted = min(row.left, len(made.tokens))
            sound = wanted if good is None or made.sound[:wanted, place].all() else good[place]
            count = row.spec.logprobs
            logprobs = [told.of(step, place, count) for step in range(sound)] if told and count is not None else ()
            outcome = row.take(tokens[place][:sound], logprobs, self._alphabet) if sound else Outcome()
            outcomes.append(outcome if sound == wanted or outcome.done else _unsound(row, outcome))
        return outcomes


def _unsound(row: TextRow, outcome: Outcome[TextEvent]) -> Outcome[TextEvent]:
    row.ended = True
    error = NonFiniteOutput("the model gave logits that are not finite")
    return Outcome(outcome.events, done=True, error=error, made=outcome.made)

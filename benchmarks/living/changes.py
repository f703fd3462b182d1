"""What is changed while clients ask, beat by beat: reloads, new versions, aliases, what lies."""

from collections.abc import Callable, Sequence

from benchmarks.living.operator import ALIASES, Operator
from benchmarks.living.weights import LETTERS

Step = Callable[[], None]


class Changes:
    """The beats of one server; which model is changed and how goes round."""

    def __init__(self, operator: Operator, models: Sequence[str]) -> None:
        self._operator = operator
        self._models = models

    def prepare(self) -> None:
        """Have every model be served twice, with both aliases set: what every beat leaves behind too."""
        for name in self._models:
            self._operator.load(name, 2, LETTERS[1])
            for alias, version in zip(ALIASES, (1, 2), strict=True):
                self._operator.switch(name, alias, version)

    def beat(self, number: int) -> Sequence[Step]:
        """What is done in a beat, in order: a load, a switch, and what is not needed any more is unloaded."""
        name, turn = self._models[number % len(self._models)], number // len(self._models)
        alias = ALIASES[turn % len(ALIASES)]
        return (
            lambda: self._load(name, turn),
            lambda: self._operator.switch(name, alias, self._other(name, turn)),
            lambda: self._operator.tidy(name),
        )

    def fail(self, number: int) -> None:
        """Try to load a version that lies, in the place of one that is served."""
        name = self._models[number % len(self._models)]
        self._operator.fail(name, self._operator.newest(name))

    def rest(self) -> None:
        """Leave as much as `prepare` did, two versions of each model, with the server having just given memory back.

        It does so where a model goes; what requests have used since is kept for those that come.
        """
        for name in self._models:
            newest = self._operator.newest(name)
            for alias, version in zip(ALIASES, (1, newest), strict=True):
                self._operator.switch(name, alias, version)
            self._operator.tidy(name)
            self._operator.load(name, newest, self._operator.letter(name, newest))

    def _load(self, name: str, turn: int) -> None:
        """By turns: a new version, the first one anew with other weights, the newest one anew as it is."""
        operator, newest = self._operator, self._operator.newest(name)
        if turn % 3 == 0:
            operator.load(name, newest + 1, _next(operator.letter(name, newest)))
        elif turn % 3 == 1:
            operator.load(name, 1, _next(operator.letter(name, 1)))
        else:
            operator.load(name, newest, operator.letter(name, newest))

    def _other(self, name: str, turn: int) -> int:
        return (1, self._operator.newest(name))[(turn + turn // len(ALIASES)) % 2]


def _next(letter: str) -> str:
    return LETTERS[(LETTERS.index(letter) + 1) % len(LETTERS)]

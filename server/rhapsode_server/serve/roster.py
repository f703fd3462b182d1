"""When a worker is to be started or ended: the rules by which workers are replaced, on values.

1. A worker that ends is replaced at once.
2. Where workers end again and again, each within STEADY seconds of service, the pause before the next one grows.
3. Where nobody serves, and in each place HOPELESS workers in a row never came to, there is no use in another.
4. A worker that serves, and whose event loop is not seen to turn for SILENT seconds, is to be ended; so is one that
   loads for LOADING seconds. Time in which nobody looked does not count: what stopped us may have stopped them.
"""

from collections.abc import Collection
from dataclasses import dataclass

STEADY = 60.0
HOPELESS = 4
FIRST_PAUSE = 0.5
LONGEST_PAUSE = 30.0
SILENT = 30.0
LOADING = 600.0
LOOK = 5.0  # seconds since the last look that count at most


@dataclass(frozen=True, slots=True)
class Record:
    """How the latest workers in one place ended: so many in a row soon, and so many of those before they served."""

    soon: int = 0
    unready: int = 0

    def after(self, served: float | None) -> "Record":
        """Add an end after so many seconds of service, None for one that came before."""
        if served is None:
            return Record(self.soon + 1, self.unready + 1)
        return Record(self.soon + 1 if served < STEADY else 1)

    @property
    def pause(self) -> float:
        """Seconds to wait before the next start."""
        return 0.0 if self.soon < 2 else min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(self.soon - 2, 16))


class Roster:
    """The places of a server's workers, numbered from 1. Times are seconds of one clock."""

    def __init__(self, places: int) -> None:
        self._records = dict.fromkeys(range(1, places + 1), Record())
        self._due = dict.fromkeys(self._records, 0.0)
        self._since: dict[int, float] = {}
        self._silence: dict[int, float] = {}
        self._looked = 0.0

    @property
    def complete(self) -> bool:
        """Whether all serve."""
        return len(self._since) == len(self._records)

    @property
    def hopeless(self) -> bool:
        """Whether nobody serves, and nobody will."""
        return not self._since and all(record.unready >= HOPELESS for record in self._records.values())

    @property
    def next_due(self) -> float | None:
        """When the next start is due."""
        return min(self._due.values(), default=None)

    def start(self, now: float) -> int | None:
        """Take a number whose start is due."""
        number = next((number for number, due in self._due.items() if due <= now), None)
        if number is not None:
            del self._due[number]
            self._silence[number] = 0.0
        return number

    def serves(self, number: int, now: float) -> None:
        """Note that a worker serves from now on."""
        self._since[number] = now
        self._silence[number] = 0.0

    def ended(self, number: int, now: float) -> Record:
        """Note that a worker has ended, and plan the next start: the record of its place."""
        since = self._since.pop(number, None)
        self._silence.pop(number, None)
        record = self._records[number] = self._records[number].after(None if since is None else now - since)
        self._due[number] = now + record.pause
        return record

    def hung(self, now: float, turned: Collection[int]) -> list[int]:
        """Look at all workers, of whom these were seen to turn since the last look: take those that are to be ended."""
        passed = min(now - self._looked, LOOK)
        self._looked = now
        for number, silence in self._silence.items():
            self._silence[number] = 0.0 if number in turned else silence + passed
        hung = [number for number, silence in self._silence.items() if silence > self._bound(number)]
        self._silence.update(dict.fromkeys(hung, 0.0))
        return hung

    def _bound(self, number: int) -> float:
        return SILENT if number in self._since else LOADING

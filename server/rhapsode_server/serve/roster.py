"""Who is to be started when: the rules by which workers that end are replaced, on values.

1. A worker that ends is replaced at once.
2. Where workers end again and again, each within STEADY seconds of service, the pause before the next one grows.
3. After HOPELESS workers in a row that never came to serve, there is no use in another.
"""

from dataclasses import dataclass

STEADY = 60.0
HOPELESS = 4
FIRST_PAUSE = 0.5
LONGEST_PAUSE = 30.0


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

    @property
    def hopeless(self) -> bool:
        """Whether the next one would not come to serve either."""
        return self.unready >= HOPELESS


class Roster:
    """The places of a server's workers, numbered from 1. Times are seconds of one clock."""

    def __init__(self, places: int) -> None:
        self._records = dict.fromkeys(range(1, places + 1), Record())
        self._due = dict.fromkeys(self._records, 0.0)
        self._since: dict[int, float] = {}

    @property
    def complete(self) -> bool:
        """Whether all serve."""
        return len(self._since) == len(self._records)

    @property
    def next_due(self) -> float | None:
        """When the next start is due."""
        return min(self._due.values(), default=None)

    def starts(self, now: float) -> list[int]:
        """Take the numbers whose start is due."""
        numbers = [number for number, due in self._due.items() if due <= now]
        for number in numbers:
            del self._due[number]
        return numbers

    def serves(self, number: int, now: float) -> None:
        """Note that a worker serves from now on."""
        self._since[number] = now

    def ended(self, number: int, now: float) -> Record:
        """Note that a worker has ended, and plan the next start: the record of its place."""
        since = self._since.pop(number, None)
        record = self._records[number] = self._records[number].after(None if since is None else now - since)
        self._due[number] = now + record.pause
        return record

"""What references to models meant, and when: the values by which replies of a living repository are judged."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from benchmarks.soak.history import Origin


@dataclass(frozen=True, slots=True)
class Reign:
    """The time in which a reference may have meant one content, in seconds of the client's clock.

    It begins when the change was asked for and ends when the next one was confirmed: between them either may answer.
    """

    origin: Origin
    since: float
    until: float = math.inf

    def holds(self, since: float, until: float) -> bool:
        """Whether it lasts at some moment of this time."""
        return self.since <= until and since <= self.until


class Reigns:
    """Those of all references; lives where the changes are made."""

    def __init__(self) -> None:
        self.of: dict[str, list[Reign]] = {}

    def change(self, meanings: Mapping[str, Origin], begun: float, ended: float) -> None:
        """References mean this from now on; the change was asked for and confirmed at these moments."""
        for reference, origin in meanings.items():
            reigns = self.of.setdefault(reference, [])
            if reigns and reigns[-1].origin == origin:
                continue
            if reigns:
                reigns[-1] = replace(reigns[-1], until=ended)
            reigns.append(Reign(origin, begun))


def during(reigns: Sequence[Reign], since: float, until: float) -> Sequence[Reign]:
    """Those that last at some moment of a time."""
    return [reign for reign in reigns if reign.holds(since, until)]

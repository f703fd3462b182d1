"""How many of a text's brackets are closed, quotation marks too."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

KINDS = ("()", "[]", "{}", "“”", "‘’", "«»", '""', "''")
"""What opens, then what closes."""

REACH = 1000
"""What is not closed after so many characters counts as left open, whatever comes later."""

_MARK = re.compile("[" + re.escape("".join(KINDS)) + "]")
_KIND_OF = {mark: kind for kind in KINDS for mark in kind}
_APOSTROPHES = "'’"


@dataclass(slots=True)
class Tally:
    """How often marks of one kind were opened, and how many of these were closed."""

    opened: int = 0
    closed: int = 0

    @property
    def share(self) -> float:
        """The share that was closed; 1 where none was opened."""
        return self.closed / self.opened if self.opened else 1.0


def tallies(texts: Sequence[str]) -> dict[str, Tally]:
    """The marks of each kind of KINDS, each text for itself.

    A closing mark closes the last one of its kind that is open. A mark that looks the same on both sides closes where
    one is open, unless it stands after a space and before a letter. An apostrophe is none: what looks like one between
    letters, or after a letter where nothing is open.
    """
    found = {kind: Tally() for kind in KINDS}
    for text in texts:
        _tally(text, found)
    return found


def _tally(text: str, found: dict[str, Tally]) -> None:
    opened: dict[str, list[int]] = {kind: [] for kind in KINDS}
    for match in _MARK.finditer(text):
        place, mark = match.start(), match.group()
        kind, before, after = _KIND_OF[mark], text[place - 1 : place], text[place + 1 : place + 2]
        if mark in _APOSTROPHES and before.isalnum() and after.isalnum():
            continue
        waiting = opened[kind]
        if waiting and place - waiting[-1] > REACH:
            waiting.clear()
        if _opens(kind, mark, before, after, bool(waiting)):
            found[kind].opened += 1
            waiting.append(place)
        elif waiting and mark == kind[1]:
            waiting.pop()
            found[kind].closed += 1


def _opens(kind: str, mark: str, before: str, after: str, waiting: bool) -> bool:
    if kind[0] != kind[1]:
        return mark == kind[0]
    if waiting:
        return not before.strip() and after.isalpha()
    return mark not in _APOSTROPHES or not before.isalnum()

"""A tune as one line of ABC, the form in which a model of tunes reads and writes."""

import re
from dataclasses import dataclass
from fractions import Fraction

from rhapsode_client.errors import UnreadableTune

EIGHTH = "1/8"
METRE = re.compile(r"C\|?|[1-9]\d?/(?:2|4|8|16)")
KEY = re.compile(r"[A-G][#b]?(?:m|mix|dor|phr|lyd|loc)?")
UNIT = re.compile(r"1/[1-9]\d*")
_LINE = re.compile(rf"M:(?P<metre>\S+) (?:L:(?P<unit>{UNIT.pattern}) )?K:(?P<key>\S+) (?P<body>\S.*)")


@dataclass(frozen=True, slots=True)
class Tune:
    """A tune: its metre ("6/8", "C|"), the length of a note without a number ("1/8"), its key ("Em") and the notes."""

    metre: str
    unit: str
    key: str
    body: str

    @property
    def prefix(self) -> str:
        """What stands before the notes in a line, such as "M:6/8 K:G "; the usual unit is not said."""
        unit = "" if self.unit == EIGHTH else f"L:{self.unit} "
        return f"M:{self.metre} {unit}K:{self.key} "

    def abc(self, title: str, tempo: float, number: int = 1) -> str:
        """The tune as a file of ABC; `tempo` in beats a minute."""
        pace = f"{beat(self.metre)}={tempo:g}"
        fields = (f"X:{number}", f"T:{title}", f"M:{self.metre}", f"L:{self.unit}", f"Q:{pace}", f"K:{self.key}")
        return "\n".join((*fields, self.body, ""))


def read_line(line: str) -> Tune:
    """The tune of a line. Raises UnreadableTune where it lacks metre, key or notes."""
    parts = _LINE.fullmatch(line.strip())
    if parts is None or not METRE.fullmatch(parts["metre"]) or not KEY.fullmatch(parts["key"]):
        raise UnreadableTune("it does not begin with a metre, a key and notes")
    return Tune(parts["metre"], parts["unit"] or EIGHTH, parts["key"], parts["body"])


def beat(metre: str) -> Fraction:
    """What is counted in a metre, as a part of a whole note: 1/2 in C|, 3/8 in 6/8, a quarter in 2/4 and C."""
    if metre.startswith("C"):
        return Fraction(1, 2 if metre == "C|" else 4)
    number, unit = map(int, metre.split("/"))
    return Fraction(3 if unit >= 8 and number % 3 == 0 else 1, unit)

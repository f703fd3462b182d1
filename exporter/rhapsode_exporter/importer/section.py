"""Reading a mapping key by key, where everything that is wrong with it is collected."""

import difflib
from collections.abc import Hashable, Iterator, Mapping, Sequence
from math import isfinite
from typing import TypeVar

from rhapsode_exporter.importer.problems import Problem

Choice = TypeVar("Choice")


class Section:
    """A mapping of a YAML file. A value that is absent or wrong is read as None, empty or the default.

    What is wrong goes into `problems`, under the key's whole path. After the last key, `refuse_rest` finds those that
    were never asked for.
    """

    def __init__(self, where: str, values: Mapping[Hashable, object], problems: list[Problem]) -> None:
        self.where = where
        self.problems = problems
        self._values = values
        self._known: list[str] = []

    def __contains__(self, key: str) -> bool:
        """Whether the key is there and not null."""
        if key not in self._known:
            self._known.append(key)
        return self._values.get(key) is not None

    def path(self, key: str) -> str:
        """The whole path of a key: "graphs.step.file"."""
        return ".".join(part for part in (self.where, key) if part)

    def wrong(self, key: str, text: str, rule: str = "") -> None:
        """Note a problem with a key."""
        self.problems.append(Problem(self.path(key), text, rule))

    def require(self, key: str, hint: str, rule: str = "") -> bool:
        """Whether the key is there; a problem, with a hint at what to write, where it is not."""
        if key in self:
            return True
        self.wrong(key, f"is missing; {hint}", rule)
        return False

    def value(self, key: str) -> object:
        """The value as YAML has it, None where there is none."""
        return self._values[key] if key in self else None

    def text(self, key: str, rule: str = "") -> str:
        """A text, empty where there is none."""
        value = self.value(key)
        if value is None:
            return ""
        if not isinstance(value, str):
            self.wrong(key, f"is {kind_of(value)}, not text; put it in quotes", rule)
            return ""
        if not is_unicode(value):
            self.wrong(key, "has a lone surrogate, which is no character", rule)
            return ""
        return value

    def texts(self, key: str, rule: str = "") -> list[str]:
        """A list of texts, empty where there is none or any of them is wrong."""
        values = self._list(key)
        wrong = [index for index, value in enumerate(values) if not isinstance(value, str) or not is_unicode(value)]
        for index in wrong[:3]:
            self.wrong(f"{key}[{index}]", f"is {kind_of(values[index])}, not text; put it in quotes", rule)
        return [] if wrong else [str(value) for value in values]

    def integer(self, key: str, low: int, high: int, rule: str) -> int:
        """A whole number in [low, high]; 0 where there is none."""
        value = self.value(key)
        if value is None:
            return 0
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            self.wrong(key, f"is {shown(value)}, not a whole number in [{low}, {high}]", rule)
            return 0
        return value

    def number(self, key: str, default: float, rule: str, low: float = float("-inf")) -> float:
        """A finite number that is at least `low`."""
        value = self.value(key)
        if value is None:
            return default
        found = _number(value)
        if found is None or not isfinite(found) or found < low:
            wanted = "a finite number" if low == float("-inf") else f"a finite number, at least {low:g}"
            self.wrong(key, f"is {shown(value)}, not {wanted}", rule)
            return default
        return found

    def flag(self, key: str) -> bool:
        """True or false; false where there is none."""
        value = self.value(key)
        if value is not None and not isinstance(value, bool):
            self.wrong(key, f"is {shown(value)}, not true or false")
        return value is True

    def choice(self, key: str, choices: Mapping[str, Choice], default: Choice, rule: str) -> Choice:
        """What one of some words stands for."""
        value = self.value(key)
        if value is None:
            return default
        if not isinstance(value, str) or value not in choices:
            self.wrong(key, f"is {shown(value)}; it is one of: {', '.join(choices)}", rule)
            return default
        return choices[value]

    def section(self, key: str) -> "Section":
        """The mapping under a key, empty where there is none."""
        value = self.value(key)
        if value is not None and not isinstance(value, dict):
            self.wrong(key, f"is {kind_of(value)}, not a mapping of keys to values")
        return Section(self.path(key), value if isinstance(value, dict) else {}, self.problems)

    def sections(self, key: str) -> "list[Section]":
        """The mappings in the list under a key."""
        found = []
        for index, value in enumerate(self._list(key)):
            if isinstance(value, dict):
                found.append(Section(self.path(f"{key}[{index}]"), value, self.problems))
            else:
                self.wrong(f"{key}[{index}]", f"is {kind_of(value)}, not a mapping of keys to values")
        return found

    def __iter__(self) -> Iterator[str]:
        """All keys, as text."""
        return map(str, self._values)

    def refuse_rest(self) -> None:
        """Note every key that was never asked for, with the nearest one that is known here."""
        for key in self._values:
            if key not in self._known:
                near = difflib.get_close_matches(str(key), self._known, n=1, cutoff=0.5)
                meant = f"did you mean {near[0]!r}" if near else "remove it"
                text = f"is not a key of bundle.yaml; {meant} (the keys here are: {', '.join(self._known)})"
                self.wrong(str(key), text)

    def _list(self, key: str) -> Sequence[object]:
        value = self.value(key)
        if value is not None and not isinstance(value, list):
            self.wrong(key, f"is {kind_of(value)}, not a list")
        return value if isinstance(value, list) else []


def is_unicode(text: str) -> bool:
    """Whether every character can be written as UTF-8; lone surrogates cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def kind_of(value: object) -> str:
    """What YAML has made of a value, in words."""
    names = {bool: "a truth value", int: "a number", float: "a number", str: "text", list: "a list", dict: "a mapping"}
    kind = "nothing" if value is None else names.get(type(value), f"a {type(value).__name__}")
    return kind if isinstance(value, list | dict) or value is None else f"{kind} ({shown(value)})"


def shown(value: object) -> str:
    """A value in few characters."""
    if isinstance(value, list | dict):
        return kind_of(value)
    text = str(value).lower() if isinstance(value, bool) else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _number(value: object) -> float | None:
    """A number; YAML takes "1e-4" for text, since it wants a point in it."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None

"""What is wrong with a bundle, said so that its maker can put it right."""

from collections.abc import Iterable
from dataclasses import dataclass

from rhapsode_server.errors import BundleError

_MOST_LINES = 50
_LONGEST = 240  # characters of a place, or of what is wrong there


@dataclass(frozen=True, slots=True)
class Problem:
    """One broken rule. `rule` is its number in docs/bundle.md, `where` the file, field or tensor."""

    rule: str
    where: str
    text: str

    def __str__(self) -> str:
        """One line for a person, however long the names in the bundle are."""
        return f"{_brief(self.where)}: {_brief(self.text)} (docs/bundle.md, {self.rule})"


def refusal(bundle: str, *problems: Problem, kind: type[BundleError] = BundleError) -> BundleError:
    """The error with a line for each problem; `bundle` is "name/version"."""
    lines = [f"bundle {bundle}: {problem}" for problem in problems[:_MOST_LINES]]
    if more := len(problems) - len(lines):
        lines.append(f"bundle {bundle}: {more} more problems, not told")
    return kind("\n".join(lines))


def refuse(bundle: str, problems: Iterable[Problem]) -> None:
    """Raise BundleError if there is any problem."""
    if found := tuple(problems):
        raise refusal(bundle, *found)


def _brief(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
